//! HTTP in, engine out: the FHIR Bulk Data API of `spec.md` 1.1, for every tenant.
//!
//! Handlers extract, call the engine and render. [`error`] alone decides what a failure looks
//! like to a client.

mod accept;
mod admin;
mod auditing;
mod ballot;
mod compress;
mod connections;
#[cfg(test)]
mod contract;
mod decompress;
mod dialect;
mod discovery;
mod download;
mod error;
mod groups;
mod kickoff;
mod limits;
mod links;
mod manifest;
mod oauth;
mod range;
mod request;
mod routes;
mod status;
mod tls;
mod urls;
mod visit;

pub use admin::admin_apis;
pub use limits::Limits;
pub use links::{LinkKey, Links};
pub use tls::TlsFiles;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use anyhow::Context;
use auditing::Auditing;
use opentelemetry::metrics::Meter;
use request::Requests;
use sluice_engine::{
    Audit, Authorization, Bearer, Cancel, Kickoff, PollLimits, Ports, Serve, Tenants,
};
use sluice_model::TenantId;
use sluice_runtime::{Process, Settings};
use sluice_wiring::{Deployment, Service};
use tls::Tls;
use tokio_util::sync::CancellationToken;

/// What a gateway is told.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Where clients reach it: scheme, host and port, and no slash at the end. Links are made from
    /// it and never from a request's headers (T-022).
    pub public_url: String,
    /// How long a file link works.
    pub link_life: Duration,
    /// The largest kick-off body, in bytes.
    pub max_body: usize,
    /// What a connection and a request may take.
    pub limits: Limits,
    /// What TLS is served with; without it HTTP is plain.
    pub tls: Option<TlsFiles>,
    /// How often a client may poll.
    pub polls: PollLimits,
    /// How long open requests may take to finish at a stop.
    pub drain: Duration,
}

impl GatewaySettings {
    /// As the settings say; `address` is where it listens.
    pub fn of(settings: &Settings, address: SocketAddr) -> Self {
        let server = &settings.server;
        let seconds = |number: u32| Duration::from_secs(u64::from(number));
        let public_url = server.public_url.clone();
        let files = server.tls_certificate.clone().zip(server.tls_key.clone());
        let scheme = if files.is_some() { "https" } else { "http" };
        Self {
            public_url: public_url.unwrap_or_else(|| format!("{scheme}://{address}")),
            limits: Limits::of(server),
            tls: files.map(|(certificate, key)| TlsFiles::new(certificate, key)),
            link_life: seconds(server.link_minutes.get()) * 60,
            max_body: usize::try_from(server.max_body_kib.get())
                .unwrap_or(usize::MAX)
                .saturating_mul(1024),
            polls: PollLimits {
                shortest: seconds(server.shortest_poll_seconds.get()),
                longest: seconds(server.longest_poll_seconds.get()),
                burst: server.poll_burst.get(),
            },
            drain: seconds(server.drain_seconds),
        }
    }
}

/// Everything that a handler needs.
pub struct Gateway {
    ports: Ports,
    tenants: Tenants,
    kickoff: Kickoff,
    serve: Serve,
    cancel: Cancel,
    links: Links,
    requests: Requests,
    authorization: Authorization,
    bearer: Bearer,
    auditing: Auditing,
    settings: GatewaySettings,
}

impl Gateway {
    /// A gateway to these tenants' exports.
    pub fn new(
        ports: &Ports,
        tenants: &Tenants,
        (authorization, audit): (Authorization, &Audit),
        key: LinkKey,
        settings: GatewaySettings,
    ) -> Self {
        let bearer = match &authorization {
            Authorization::Off => Bearer::off(),
            Authorization::On(tokens) => tokens.bearer(tenants),
        };
        Self {
            authorization,
            bearer,
            auditing: Auditing::new(ports, audit),
            ports: ports.clone(),
            tenants: tenants.clone(),
            kickoff: Kickoff::new(ports, tenants, audit),
            serve: Serve::new(ports, tenants, settings.polls),
            cancel: Cancel::new(ports),
            links: Links::new(key),
            requests: Requests::default(),
            settings,
        }
    }

    /// Times its requests with instruments of this meter.
    #[must_use]
    pub fn measured(mut self, meter: &Meter) -> Self {
        self.requests = Requests::new(meter);
        self
    }

    /// Where clients of a tenant get their tokens.
    fn token_url(&self, tenant: &TenantId) -> String {
        let access = self
            .tenants
            .get(tenant)
            .map(|tenant| tenant.access.as_ref());
        let other = access
            .filter(|access| !access.own_tokens)
            .and_then(|access| {
                let mut issuers = access.issuers.iter();
                issuers.find_map(|issuer| issuer.token_url.clone())
            });
        other.unwrap_or_else(|| format!("{}/{tenant}/oauth2/token", self.settings.public_url))
    }

    /// Whether clients come over TLS, wherever it ends.
    fn is_https(&self) -> bool {
        self.settings.public_url.starts_with("https://")
    }

    /// The FHIR base URL of a tenant.
    fn base(&self, tenant: &TenantId) -> String {
        format!("{}/{tenant}/fhir", self.settings.public_url)
    }
}

/// The process: opens what the settings name and answers until told to stop.
pub async fn serve(process: Process) -> anyhow::Result<()> {
    let listen = process.settings.server.listen;
    let listener = TcpListener::bind(listen)
        .with_context(|| format!("listening on {listen} (server.listen)"))?;
    let address = listener.local_addr()?;
    let apis = |deployment: &Deployment, probes| {
        let Deployment { ports, tenants, .. } = deployment;
        let apis = admin_apis(ports, tenants, deployment.clients.clone());
        (deployment.answering(probes), apis)
    };
    let Some(service) = Service::open_with(&process, apis).await? else {
        return Ok(());
    };
    let Process {
        settings,
        telemetry,
        stop,
    } = process;
    let deployment = &service.deployment;
    let ports = &deployment.ports;
    // Links are the store's own; nothing is ever signed with this.
    let mut key = [0; 32];
    ports.entropy.fill(&mut key)?;
    let gateway_settings = GatewaySettings::of(&settings, address);
    let urls = (gateway_settings.public_url.as_str(), None);
    let authorization = sluice_wiring::authorization(&settings, ports, &deployment.clients, urls)?;
    let tenants = &deployment.tenants;
    let gateway = Gateway::new(
        ports,
        tenants,
        (authorization, &deployment.audit),
        LinkKey(key),
        gateway_settings,
    )
    .measured(&telemetry.meter());
    tracing::info!(%address, "answering");
    run(gateway, listener, stop).await.context("serving HTTP")?;
    service.close().await
}

/// Serves until told to stop, then lets open requests finish.
pub async fn run(
    gateway: Gateway,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let GatewaySettings {
        drain, limits, tls, ..
    } = gateway.settings.clone();
    let tls = match tls {
        Some(files) => Some(Tls::open(files).await.map_err(std::io::Error::other)?),
        None => None,
    };
    let gateway = web::Data::new(gateway);
    let quiet = limits.idle_time.saturating_add(limits.head_time);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(gateway.clone())
            .wrap(actix_web::middleware::from_fn(limits::wrap))
            .wrap(actix_web::middleware::from_fn(request::wrap))
            .wrap(actix_web::middleware::from_fn(connections::wrap))
            .configure(routes::configure)
    })
    .on_connect(move |io, data| connections::opened(io, data, quiet))
    .disable_signals()
    .shutdown_timeout(drain.as_secs())
    .client_request_timeout(limits.head_time)
    .keep_alive(limits.idle_time)
    .max_connections(limits.connections)
    .tls_handshake_timeout(limits.head_time)
    // Clients that dawdle over a handshake must not keep the others out.
    .max_connection_rate(limits.connections);
    let server = match &tls {
        Some(tls) => {
            let config = tls.config().map_err(std::io::Error::other)?;
            server.listen_rustls_0_23(listener, config)?
        }
        None => server.listen(listener)?,
    };
    let server = server.run();
    let handle = server.handle();
    let stopping = async {
        stop.cancelled().await;
        handle.stop(true).await;
    };
    let watching = async {
        if let Some(tls) = tls {
            tls.watch(stop.clone()).await;
        }
    };
    let (ended, (), ()) = tokio::join!(server, stopping, watching);
    ended
}
