//! The admin port: `/livez` says that the process gets on with its work, `/readyz` whether what it
//! needs is there, `/metrics` what it counts; and the APIs that a service has.

mod api;
mod log_filter;

pub use api::{AdminAnswer, AdminApi, AdminApis, AdminRequest, OnRefusal};
pub use log_filter::{Recorder, log_filter_api};

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::Guarded;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Settings, Telemetry};

/// How long the head of a request may take to come.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may take for all of it, so that who reads nothing does not stay.
const CONNECTION_TIME: Duration = Duration::from_mins(1);

/// Says what is wrong, a line each; nothing when all is well.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// What the admin port can be asked.
#[derive(Clone)]
pub struct Probes {
    /// Whether only a restart would help. Never whether something else is down.
    pub alive: Check,
    /// Whether what the process needs is there.
    pub ready: Check,
    /// What is missing without which it answers all the same; told to whoever asks whether it is ready.
    pub limited: Check,
    /// What it counts.
    pub telemetry: Telemetry,
}

impl Probes {
    /// Not ready either while another check says why.
    #[must_use]
    pub fn and_ready(mut self, other: Check) -> Self {
        let first = self.ready;
        self.ready = Arc::new(move || {
            let (first, other) = (first(), other());
            Box::pin(async move {
                let mut wrong = first.await;
                wrong.extend(other.await);
                wrong
            })
        });
        self
    }
}

/// The admin port while it answers.
pub struct AdminPort {
    serving: JoinHandle<()>,
    end: CancellationToken,
}

impl AdminPort {
    /// Closes it, once nothing is left that somebody might want to look at.
    pub async fn close(self) -> anyhow::Result<()> {
        self.end.cancel();
        Ok(self.serving.await?)
    }
}

/// Starts the admin port, if the settings name one. From `stop` on the process is not ready, and the port
/// answers all the same: what is counted while work in hand is finished would be seen by nobody otherwise.
pub async fn start_admin(
    settings: &Settings,
    probes: Probes,
    apis: AdminApis,
    stop: &CancellationToken,
) -> anyhow::Result<AdminPort> {
    let end = CancellationToken::new();
    let Some(address) = settings.admin.listen else {
        let serving = tokio::spawn(async {});
        return Ok(AdminPort { serving, end });
    };
    let probes = probes.and_ready(not_stopping(stop.clone()));
    if !apis.apis.is_empty()
        && !settings.admin.secret.reveal().is_empty()
        && !address.ip().is_loopback()
    {
        tracing::warn!(%address, "the admin secret travels in clear; let only your own network reach it");
    }
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} (admin.listen)"))?;
    let port = Port {
        apis: Guarded::new(
            apis,
            settings.admin.secret.clone(),
            &probes.telemetry.meter(),
        ),
        probes,
    };
    let serving = tokio::spawn(serve_admin(listener, port, end.clone()));
    Ok(AdminPort { serving, end })
}

fn not_stopping(stop: CancellationToken) -> Check {
    Arc::new(move || {
        let said = stop
            .is_cancelled()
            .then(|| "it was asked to stop".to_owned());
        Box::pin(std::future::ready(said.into_iter().collect()))
    })
}

/// What answers.
#[derive(Clone)]
struct Port {
    probes: Probes,
    apis: Guarded,
}

async fn serve_admin(listener: TcpListener, port: Port, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors, most likely; some come free.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (port, stop) = (port.clone(), stop.clone());
        connections.spawn(async move {
            let answers =
                service_fn(|request| answer(request, peer.ip().to_canonical(), port.clone()));
            let serving = hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(TokioIo::new(stream), answers);
            let serving = tokio::time::timeout(CONNECTION_TIME, serving);
            let _whoever_asked_has_gone = stop.run_until_cancelled(serving).await;
        });
    }
    connections.close();
    connections.wait().await;
}

async fn answer(
    request: Request<Incoming>,
    from: IpAddr,
    port: Port,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(api) = port.apis.at(request.uri().path()) {
        return Ok(port.apis.answer(api, (request, from)).await);
    }
    let probes = &port.probes;
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/livez") => verdict("alive", &probes.alive, None).await,
        (&Method::GET | &Method::HEAD, "/readyz") => {
            verdict("ready", &probes.ready, Some(&probes.limited)).await
        }
        (&Method::GET | &Method::HEAD, "/metrics") => match probes.telemetry.exposition() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")),
        },
        (_, "/livez" | "/readyz" | "/metrics") => {
            let text = "this path takes GET and HEAD\n".to_owned();
            (StatusCode::METHOD_NOT_ALLOWED, text)
        }
        _ => (StatusCode::NOT_FOUND, port.whats_there()),
    };
    let mut response = Response::new(Full::from(text));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
    }
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Ok(response)
}

impl Port {
    fn whats_there(&self) -> String {
        let probes = ["/livez", "/readyz", "/metrics"].into_iter();
        let there: Vec<&str> = probes.chain(self.apis.paths()).collect();
        format!("there are {}\n", there.join(", "))
    }
}

async fn verdict(good: &str, check: &Check, limited: Option<&Check>) -> (StatusCode, String) {
    let wrong = check().await;
    if !wrong.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n") + "\n");
    }
    let mut lines = vec![good.to_owned()];
    if let Some(limited) = limited {
        lines.extend(limited().await);
    }
    (StatusCode::OK, lines.join("\n") + "\n")
}
