//! Gateway, coordinator and worker in one process over local adapters: what `serve` and `demo` run.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use sluice_auth::KeySecret;
use sluice_coordinator::{Coordinator, CoordinatorSettings};
use sluice_engine::{Export, Gate, Rebuild};
use sluice_gateway::{Gateway, GatewaySettings};
use sluice_runtime::{AdminPort, Process};
use sluice_wiring::{Deployment, OnLoad, Role};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::data_dir::DataDir;

/// A running server.
pub(crate) struct Embedded {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where clients reach it.
    pub(crate) public_url: String,
    gateway: JoinHandle<std::io::Result<()>>,
    inner: Vec<JoinHandle<()>>,
    admin: AdminPort,
    deployment: Deployment,
    stop: CancellationToken,
    /// Held as long as anything runs.
    _data: DataDir,
}

/// Opens everything, makes the index from the journal, and starts. Returns when requests are
/// answered.
pub(crate) async fn start(process: &Process, on_load: OnLoad) -> anyhow::Result<Embedded> {
    let Process {
        settings,
        telemetry,
        stop,
    } = process;
    let data = DataDir::open(&settings.data_dir)?;
    // Early, so that a taken port is told before data is loaded.
    let listener = TcpListener::bind(settings.server.listen)
        .with_context(|| format!("listening on {}", settings.server.listen))?;
    let address = listener.local_addr()?;
    let opening = Deployment::open(settings, Role::AllInOne, telemetry, on_load);
    let deployment = Box::pin(opening).await?;
    let (ports, tenants) = (&deployment.ports, &deployment.tenants);
    let coordinator = Coordinator::open(&deployment, settings).await?;
    let key = data.link_key(ports.entropy.as_ref())?;
    let jobs = Rebuild::new(ports, tenants)
        .unless_marked()
        .await
        .map_err(|error| anyhow::anyhow!(error.chain()))
        .context("reading the journal")?;
    let jobs = jobs.unwrap_or(0);
    tracing::info!(jobs, "the index is made from the journal");

    let gateway_settings = GatewaySettings::of(settings, address);
    let public_url = gateway_settings.public_url.clone();
    let own = KeySecret::new(data.auth_secret(ports.entropy.as_ref())?)?;
    let urls = (public_url.as_str(), Some(own));
    let authorization = sluice_wiring::authorization(settings, ports, &deployment.clients, urls)?;
    let access = (authorization, &deployment.audit);
    let gateway =
        Gateway::new(ports, tenants, access, key, gateway_settings).measured(&telemetry.meter());
    let gateway = tokio::spawn(sluice_gateway::run(gateway, listener, stop.clone()));
    let (inner, admin) = start_inner(process, &deployment, coordinator).await?;
    Ok(Embedded {
        address,
        public_url,
        gateway,
        inner,
        admin,
        deployment,
        stop: stop.clone(),
        _data: data,
    })
}

async fn start_inner(
    process: &Process,
    deployment: &Deployment,
    coordinator: Coordinator,
) -> anyhow::Result<(Vec<JoinHandle<()>>, AdminPort)> {
    let Process {
        settings,
        telemetry,
        stop,
    } = process;
    let (ports, tenants) = (&deployment.ports, &deployment.tenants);
    let export = Export::new(ports, tenants, Deployment::export_limits(settings));
    let pace = sluice_worker::pace(deployment.slots, settings);
    let probes = deployment.answering(deployment.probes(telemetry));
    let apis = sluice_gateway::admin_apis(ports, tenants, deployment.clients.clone());
    let apis = deployment.admin_apis(telemetry, apis);
    let admin = sluice_runtime::start_admin(settings, probes, apis, stop).await?;
    let inner = vec![
        tokio::spawn(sluice_coordinator::run(
            coordinator,
            CoordinatorSettings::of(settings),
            stop.clone(),
        )),
        tokio::spawn(sluice_worker::run(
            export,
            ports.clone(),
            pace,
            (Gate::default(), stop.clone()),
        )),
        deployment.watch(stop),
    ];
    Ok((inner, admin))
}

impl Embedded {
    /// Runs until told to stop, and then until everything in hand is finished.
    pub(crate) async fn finished(self) -> anyhow::Result<()> {
        let ended = self.gateway.await;
        // Should the gateway have ended by itself, nothing else is of use either.
        self.stop.cancel();
        for task in self.inner {
            task.await?;
        }
        self.deployment.close().await;
        self.admin.close().await?;
        ended?.context("serving HTTP")
    }
}
