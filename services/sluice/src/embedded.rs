//! Gateway, coordinator and worker in one process over local adapters: what `serve` and `demo` run.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use sluice_coordinator::{Coordinator, CoordinatorSettings};
use sluice_engine::{Export, Rebuild};
use sluice_gateway::{Gateway, GatewaySettings};
use sluice_runtime::Settings;
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
    deployment: Deployment,
    stop: CancellationToken,
    /// Held as long as anything runs.
    _data: DataDir,
}

/// Opens everything, makes the index from the journal, and starts. Returns when requests are
/// answered.
pub(crate) async fn start(
    settings: &Settings,
    on_load: OnLoad,
    stop: CancellationToken,
) -> anyhow::Result<Embedded> {
    let data = DataDir::open(&settings.data_dir)?;
    // Early, so that a taken port is told before data is loaded.
    let listener = TcpListener::bind(settings.server.listen)
        .with_context(|| format!("listening on {}", settings.server.listen))?;
    let address = listener.local_addr()?;
    let folder = &settings.data_dir;
    let opening = Deployment::open(settings, Role::AllInOne, folder, on_load);
    let deployment = Box::pin(opening).await?;
    let (ports, tenants) = (&deployment.ports, &deployment.tenants);
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
    let gateway = Gateway::new(ports, tenants, key, gateway_settings);
    let gateway = tokio::spawn(sluice_gateway::run(gateway, listener, stop.clone()));
    let inner = start_inner(settings, &deployment, &stop).await?;
    Ok(Embedded {
        address,
        public_url,
        gateway,
        inner,
        deployment,
        stop,
        _data: data,
    })
}

async fn start_inner(
    settings: &Settings,
    deployment: &Deployment,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let (ports, tenants) = (&deployment.ports, &deployment.tenants);
    let coordinator = Coordinator::new(ports, tenants, settings);
    let export = Export::new(ports, tenants, Deployment::export_limits(settings));
    let pace = sluice_worker::pace(deployment.slots, settings);
    let queue = ports.queue.clone();
    Ok(vec![
        tokio::spawn(sluice_coordinator::run(
            coordinator,
            CoordinatorSettings::of(settings),
            stop.clone(),
        )),
        tokio::spawn(sluice_worker::run(export, queue, pace, stop.clone())),
        sluice_runtime::start_admin(settings, deployment.readiness(), stop).await?,
    ])
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
        ended?.context("serving HTTP")
    }
}
