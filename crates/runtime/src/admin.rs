//! The admin port: `/livez` says that the process runs, `/readyz` whether what it needs is there.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Settings;

/// Says what is missing, a line each; nothing when all is there.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// Starts the admin port, if the settings name one. The task ends after `stop`.
pub async fn start_admin(
    settings: &Settings,
    ready: Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let Some(address) = settings.admin.listen else {
        return Ok(tokio::spawn(async {}));
    };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} (admin.listen)"))?;
    Ok(tokio::spawn(serve_admin(listener, ready, stop.clone())))
}

async fn serve_admin(listener: TcpListener, ready: Readiness, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely; some come free.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let (ready, stop) = (Arc::clone(&ready), stop.clone());
        connections.spawn(async move {
            let answers = service_fn(|request| answer(request, Arc::clone(&ready)));
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
    ready: Readiness,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, "alive\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => {
            let missing = ready().await;
            if missing.is_empty() {
                (StatusCode::OK, "ready\n".to_owned())
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n")
            }
        }
        _ => (
            StatusCode::NOT_FOUND,
            "there are /livez and /readyz\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    Ok(response)
}
