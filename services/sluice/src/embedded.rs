//! Gateway, coordinator and worker in one process over local adapters: what `serve` and `demo` run.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use sluice_coordinator::{Coordinator, CoordinatorSettings};
use sluice_engine::{
    Advance, AdvanceLimits, Duplicates, Export, ExportLimits, Policy, PollLimits, Ports, Rebuild,
    Tenant, Tenants,
};
use sluice_gateway::{Gateway, GatewaySettings};
use sluice_ports::{Clock, Entropy};
use sluice_runtime::{DuplicatesSetting, Settings, TenantSection};
use sluice_wiring::{OpenSource, SourceProgress, SystemClock, SystemEntropy};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::data_dir::DataDir;

/// Told how far the loading of a tenant's source is.
pub(crate) type OnLoad = Arc<dyn Fn(&str, &SourceProgress) + Send + Sync>;

/// A running server.
pub(crate) struct Embedded {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where clients reach it.
    pub(crate) public_url: String,
    gateway: JoinHandle<std::io::Result<()>>,
    inner: Vec<JoinHandle<()>>,
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
    if settings.tenants.is_empty() {
        bail!("no tenant is set; name a folder with --data DIR, or set [tenants.default] source");
    }
    let data = DataDir::open(&settings.data_dir)?;
    // Early, so that a taken port is told before data is loaded.
    let listener = TcpListener::bind(settings.server.listen)
        .with_context(|| format!("listening on {}", settings.server.listen))?;
    let address = listener.local_addr()?;
    let ports = ports(settings, &data)?;
    let key = data.link_key(ports.entropy.as_ref())?;
    let tenants = open_tenants(settings, &data, &ports, on_load).await?;
    let rebuild = Rebuild::new(&ports, &tenants);
    let jobs = rebuild
        .unless_marked()
        .await
        .map_err(|error| anyhow::anyhow!(error.chain()))
        .context("reading the journal")?;
    tracing::info!(
        jobs = jobs.unwrap_or(0),
        "the index is made from the journal"
    );

    let gateway_settings = gateway_settings(settings, address);
    let public_url = gateway_settings.public_url.clone();
    let gateway = Gateway::new(&ports, &tenants, key, gateway_settings);
    let gateway = tokio::spawn(sluice_gateway::run(gateway, listener, stop.clone()));
    let inner = start_inner(settings, &ports, &tenants, rebuild, &stop);
    Ok(Embedded {
        address,
        public_url,
        gateway,
        inner,
        stop,
        _data: data,
    })
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
        ended?.context("serving HTTP")
    }
}

fn ports(settings: &Settings, data: &DataDir) -> anyhow::Result<Ports> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    Ok(Ports {
        blobs: sluice_wiring::blobs(&settings.ports.blobs, &data.objects())?,
        index: sluice_wiring::index(&settings.ports.index, clock.clone())?,
        queue: sluice_wiring::queue(&settings.ports.queue)?,
        clock,
        entropy,
    })
}

async fn open_tenants(
    settings: &Settings,
    data: &DataDir,
    ports: &Ports,
    on_load: OnLoad,
) -> anyhow::Result<Tenants> {
    let mut tenants = Vec::new();
    for (id, section) in &settings.tenants {
        let (uri, clock) = (section.source.clone(), ports.clock.clone());
        let (indexes, name) = (data.indexes(), id.to_string());
        let on_load = on_load.clone();
        let open = move || {
            sluice_wiring::source(&uri, &indexes, clock, |progress| on_load(&name, &progress))
        };
        let OpenSource { source, catalog } = tokio::task::spawn_blocking(open)
            .await?
            .with_context(|| format!("tenant {id}"))?;
        tracing::info!(
            tenant = %id, resources = catalog.resources, files = catalog.files,
            skipped = catalog.skipped, ignored = catalog.ignored.len(), "source ready"
        );
        let policy = policy(section);
        tenants.push((id.clone(), Tenant { source, policy }));
    }
    Ok(tenants.into_iter().collect())
}

fn policy(section: &TenantSection) -> Policy {
    let hours = |hours: u32| Duration::from_hours(u64::from(hours));
    Policy {
        chunk_bytes: section.chunk_mib.get().saturating_mul(1 << 20),
        file_bytes: section.file_mib.get().saturating_mul(1 << 20),
        retention: hours(section.retention_hours.get()),
        give_up_after: hours(section.give_up_hours.get()),
        duplicates: match section.duplicates {
            DuplicatesSetting::Allow => Duplicates::Allow,
            DuplicatesSetting::Reject => Duplicates::Reject,
            DuplicatesSetting::Join => Duplicates::Join,
        },
        most_running: (section.most_running > 0).then_some(section.most_running),
        weight: section.weight.get(),
        gzip: section.gzip,
        failed_percent: section.failed_percent,
    }
}

fn seconds(number: impl Into<u32>) -> Duration {
    Duration::from_secs(u64::from(number.into()))
}

fn gateway_settings(settings: &Settings, address: SocketAddr) -> GatewaySettings {
    let server = &settings.server;
    let public_url = server.public_url.clone();
    GatewaySettings {
        public_url: public_url.unwrap_or_else(|| format!("http://{address}")),
        link_life: seconds(server.link_minutes) * 60,
        max_body: usize::try_from(server.max_body_kib.get())
            .unwrap_or(usize::MAX)
            .saturating_mul(1024),
        polls: PollLimits {
            shortest: seconds(server.shortest_poll_seconds),
            longest: seconds(server.longest_poll_seconds),
            burst: server.poll_burst.get(),
        },
        drain: seconds(server.drain_seconds),
    }
}

fn start_inner(
    settings: &Settings,
    ports: &Ports,
    tenants: &Tenants,
    rebuild: Rebuild,
    stop: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let (section, worker) = (&settings.coordinator, &settings.worker);
    let export = Export::new(
        ports,
        tenants,
        ExportLimits {
            deadline: seconds(worker.deadline_minutes) * 60,
            lease: seconds(worker.lease_seconds),
            retries: worker
                .retry_seconds
                .iter()
                .map(|wait| seconds(*wait))
                .collect(),
            ..ExportLimits::default()
        },
    );
    let advance_limits = AdvanceLimits {
        window: section.window.get(),
        stale_after: seconds(section.stale_seconds),
        tombstone: seconds(section.tombstone_minutes) * 60,
        ..AdvanceLimits::default()
    };
    let coordinator = Coordinator {
        advance: Advance::new(ports, tenants, advance_limits),
        export: export.clone(),
        rebuild,
        queue: ports.queue.clone(),
    };
    let coordinator_settings = CoordinatorSettings {
        sweep_every: seconds(section.sweep_seconds),
        reconcile_every: seconds(section.reconcile_seconds),
        width: usize::try_from(section.width.get()).unwrap_or(1),
    };
    let slots = worker.slots.map_or_else(processors, |slots| {
        usize::try_from(slots.get()).unwrap_or(1)
    });
    let queue = ports.queue.clone();
    vec![
        tokio::spawn(sluice_coordinator::run(
            coordinator,
            coordinator_settings,
            stop.clone(),
        )),
        tokio::spawn(sluice_worker::run(export, queue, slots, stop.clone())),
    ]
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
