//! What HTTP alone costs: as many workers as the gateway has, and a handler that says `ok`. The word is where to listen.

use actix_web::{App, HttpServer, web};
use anyhow::Context;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let listen = std::env::args().nth(1);
    let listen = listen.context("say where to listen, such as 127.0.0.1:8080")?;
    let server = HttpServer::new(|| App::new().default_service(web::to(|| async { "ok" })));
    Ok(server.bind(listen)?.run().await?)
}
