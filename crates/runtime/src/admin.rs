//! The admin port: `/livez` says that the process gets on with its work, `/readyz` whether what it
//! needs is there, `/metrics` what it counts.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Settings, Telemetry};

/// Says what is wrong, a line each; nothing when all is well.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// What the admin port can be asked.
#[derive(Clone)]
pub struct Probes {
    /// Whether only a restart would help. Never whether something else is down.
    pub alive: Check,
    /// Whether what the process needs is there.
    pub ready: Check,
    /// What it counts.
    pub telemetry: Telemetry,
}

/// Starts the admin port, if the settings name one. The task ends after `stop`.
pub async fn start_admin(
    settings: &Settings,
    probes: Probes,
    stop: &CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let Some(address) = settings.admin.listen else {
        return Ok(tokio::spawn(async {}));
    };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} (admin.listen)"))?;
    Ok(tokio::spawn(serve_admin(listener, probes, stop.clone())))
}

async fn serve_admin(listener: TcpListener, probes: Probes, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely; some come free.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let (probes, stop) = (probes.clone(), stop.clone());
        connections.spawn(async move {
            let answers = service_fn(|request| answer(request, probes.clone()));
            let serving = hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answers);
            let _whoever_asked_has_gone = stop.run_until_cancelled(serving).await;
        });
    }
    connections.close();
    connections.wait().await;
}

async fn answer(
    request: Request<Incoming>,
    probes: Probes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/livez") => verdict("alive", &probes.alive).await,
        (&Method::GET | &Method::HEAD, "/readyz") => verdict("ready", &probes.ready).await,
        (&Method::GET | &Method::HEAD, "/metrics") => match probes.telemetry.exposition() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")),
        },
        _ => (
            StatusCode::NOT_FOUND,
            "there are /livez, /readyz and /metrics\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Ok(response)
}

async fn verdict(good: &str, check: &Check) -> (StatusCode, String) {
    let wrong = check().await;
    if wrong.is_empty() {
        (StatusCode::OK, format!("{good}\n"))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n") + "\n")
    }
}
