//! What a process is made of, opened as its settings say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use sluice_engine::{
    AdvanceLimits, Audit, AuditAction, AuditEntry, Clients, Duplicates, ExportLimits, Metrics,
    Origin, Policy, Ports, Tenant, Tenants,
};
use sluice_model::TenantId;
use sluice_ports::{AuditSink, Clock, Entropy};
use sluice_runtime::{
    AdminApi, AdminApis, AdminPort, DuplicatesSetting, Probes, Process, Settings, Telemetry,
    TenantSection,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::access::tenant_access;
use crate::figures;
use crate::late::{self, Opened, Sources};
use crate::open::{audit_sink, blobs, index, is_remote, queue, source};
use crate::refusals::on_refusal;
use crate::watch::Watch;
use crate::{Finding, OpenSource, Servers, SourceProgress, SystemClock, SystemEntropy};

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One service among others: everything it shares must be outside of it.
    Service,
    /// All services in one process.
    AllInOne,
}

/// An opened deployment.
pub struct Deployment {
    /// Its ports.
    pub ports: Ports,
    /// Its tenants.
    pub tenants: Tenants,
    /// Their clients.
    pub clients: Clients,
    /// Writes down who did what.
    pub audit: Audit,
    /// Where that goes for good.
    pub audit_sink: Arc<dyn AuditSink>,
    /// Chunks exported at once by this process, if it exports.
    pub slots: usize,
    servers: Servers,
    watch: Watch,
    sources: Sources,
    /// What tries to open sources that were not there; it ends with this.
    _opening: Vec<AbortOnDropHandle<()>>,
}

/// Told how far the loading of a tenant's source is.
pub type OnLoad = Arc<dyn Fn(&str, &SourceProgress) + Send + Sync>;

/// A service that is about to do its work.
pub struct Service {
    /// What it is made of.
    pub deployment: Deployment,
    admin: AdminPort,
    watch: JoinHandle<()>,
}

impl Service {
    /// Opens what a service among others is made of, and its admin port; `None` when it was told
    /// to stop meanwhile.
    pub async fn open(process: &Process) -> anyhow::Result<Option<Self>> {
        Self::open_with(process, |_, probes| (probes, Vec::new())).await
    }

    /// As [`Service::open`], with what the admin port tells and answers beside what it does for every
    /// service.
    pub async fn open_with(
        process: &Process,
        more: impl FnOnce(&Deployment, Probes) -> (Probes, Vec<AdminApi>),
    ) -> anyhow::Result<Option<Self>> {
        let Process {
            settings,
            telemetry,
            stop,
        } = process;
        let nobody_looks: OnLoad = Arc::new(|_, _| {});
        let opening = Deployment::open(settings, Role::Service, telemetry, nobody_looks);
        let Some(opened) = stop.run_until_cancelled(Box::pin(opening)).await else {
            return Ok(None);
        };
        let deployment = opened?;
        let (probes, apis) = more(&deployment, deployment.probes(telemetry));
        let apis = deployment.admin_apis(telemetry, apis);
        let admin = sluice_runtime::start_admin(settings, probes, apis, stop).await?;
        let watch = deployment.watch(stop);
        Ok(Some(Self {
            deployment,
            admin,
            watch,
        }))
    }

    /// Gives everything back, after the work is done.
    pub async fn close(self) -> anyhow::Result<()> {
        self.deployment.close().await;
        self.watch.await?;
        self.admin.close().await
    }
}

impl Deployment {
    /// Opens everything and tries what it rests on. Blocks nobody while sources are loaded.
    pub async fn open(
        settings: &Settings,
        role: Role,
        telemetry: &Telemetry,
        on_load: OnLoad,
    ) -> anyhow::Result<Self> {
        let data = &settings.data_dir;
        if settings.tenants.is_empty() {
            bail!("no tenant is set; set [tenants.default] source, or use serve --data DIR");
        }
        if role == Role::Service {
            refuse_local_parts(settings)?;
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let (slots, mut servers) = (slots(settings), Servers::default());
        let meter = telemetry.meter();
        let ports = Ports {
            blobs: blobs(settings, &data.join("objects"), &mut servers).await?,
            index: index(settings, clock.clone(), &mut servers).await?,
            queue: queue(settings, slots, entropy.clone(), &mut servers).await?,
            metrics: Metrics::new(&meter, clock.clone()),
            clock,
            entropy,
        };
        insist(servers.probe(ports.clock.as_ref()).await?)?;
        let audit = Audit::new(&ports, settings.audit.most_waiting.get());
        let audit_sink = audit_sink(settings, &ports.blobs, &mut servers).await?;
        let (tenants, sources, opening) = open_tenants(settings, data, &ports, on_load).await?;
        figures::show(&meter, &sources);
        let watch = Watch::new(&ports, &servers, &meter);
        Ok(Self {
            clients: Clients::new(&ports, &tenants),
            ports,
            tenants,
            audit,
            audit_sink,
            slots,
            servers,
            watch,
            sources,
            _opening: opening,
        })
    }

    /// What the admin port tells of it.
    pub fn probes(&self, telemetry: &Telemetry) -> Probes {
        let (alive, ready) = (self.watch.clone(), self.watch.clone());
        Probes {
            alive: Arc::new(move || Box::pin(std::future::ready(alive.dead()))),
            ready: Arc::new(move || {
                let ready = ready.clone();
                Box::pin(async move {
                    let mut missing = ready.down().await;
                    missing.extend(ready.skewed());
                    missing
                })
            }),
            limited: Arc::new({
                let sources = Arc::clone(&self.sources);
                move || Box::pin(std::future::ready(late::closed(&sources)))
            }),
            telemetry: telemetry.clone(),
        }
    }

    /// The same of a process that answers clients. It is ready without the servers behind it too: what needs none of
    /// them is served, the rest is answered with what to do, and taken out of a load balancer it could do neither.
    pub fn answering(&self, probes: Probes) -> Probes {
        let (ready, limited) = (self.watch.clone(), self.watch.clone());
        let sources = Arc::clone(&self.sources);
        Probes {
            ready: Arc::new(move || Box::pin(std::future::ready(ready.skewed()))),
            limited: Arc::new(move || {
                let mut away = limited.seen_down();
                away.extend(late::closed(&sources));
                Box::pin(std::future::ready(away))
            }),
            ..probes
        }
    }

    /// What operators may do on the admin port: this, and change what is logged for a while.
    pub fn admin_apis(&self, telemetry: &Telemetry, mut apis: Vec<AdminApi>) -> AdminApis {
        apis.push(self.log_filter(telemetry));
        AdminApis {
            apis,
            on_refusal: on_refusal(&self.ports, &self.audit),
        }
    }

    fn log_filter(&self, telemetry: &Telemetry) -> AdminApi {
        let audit = self.audit.clone();
        let record = move |filter: String, from| {
            let audit = audit.clone();
            let recording = async move {
                let action = AuditAction::LogFilterChanged;
                let mut entry = AuditEntry::by_administrator(&Origin::at(from), None, action);
                entry.details.push(("filter", filter));
                let recorded = audit.record(&entry).await;
                recorded.map_err(|error| {
                    tracing::warn!(error = error.chain(), "a change cannot be written down now");
                    error.to_string()
                })
            };
            recording.boxed()
        };
        sluice_runtime::log_filter_api(telemetry.log_filter().clone(), Arc::new(record))
    }

    /// Looks now and then at what it needs, until told to stop.
    pub fn watch(&self, stop: &CancellationToken) -> JoinHandle<()> {
        tokio::spawn(self.watch.clone().run(stop.clone()))
    }

    /// Gives back what is held at the servers.
    pub async fn close(&self) {
        self.servers.close().await;
    }
}

fn refuse_local_parts(settings: &Settings) -> anyhow::Result<()> {
    let ports = &settings.ports;
    for (name, uri, instead) in [
        ("index", ports.index.reveal(), "redis://"),
        ("queue", ports.queue.reveal(), "amqp://"),
        ("blobs", ports.blobs.as_str(), "s3://"),
    ] {
        if uri.starts_with("memory:") || uri.starts_with("file:") {
            bail!(
                "ports.{name} is {uri}, which only one process can use; the separate services need \
                 {instead}… there, and `sluice serve` is all of them in one process"
            );
        }
    }
    Ok(())
}

/// Warns of what should be better and refuses what cannot work.
fn insist(findings: Vec<Finding>) -> anyhow::Result<()> {
    let mut refused = Vec::new();
    for finding in findings {
        if finding.refuse {
            refused.push(finding.text);
        } else {
            tracing::warn!(what = finding.what, "{}", finding.text);
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    bail!("{}", refused.join("\n"))
}

/// Chunks exported at once: what is set, or one a processor.
fn slots(settings: &Settings) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let slots = settings.worker.slots;
    slots.map_or_else(processors, |slots| {
        usize::try_from(slots.get()).unwrap_or(1)
    })
}

async fn open_tenants(
    settings: &Settings,
    data: &Path,
    ports: &Ports,
    on_load: OnLoad,
) -> anyhow::Result<(Tenants, Sources, Vec<AbortOnDropHandle<()>>)> {
    let open = |tenant| open_tenant(tenant, data, &ports.clock, &on_load);
    // Machines that do not answer are waited for all at once; folders are read one after another.
    let all = settings.tenants.iter();
    let (remote, local): (Vec<_>, Vec<_>) =
        all.partition(|(_, section)| is_remote(&section.source));
    let mut found = try_join_all(remote.into_iter().map(open)).await?;
    for tenant in local {
        found.push(open(tenant).await?);
    }
    let (mut tenants, mut sources, mut opening) = (Vec::new(), Vec::new(), Vec::new());
    for FoundTenant {
        id,
        tenant,
        opened,
        trying,
    } in found
    {
        opening.extend(trying);
        sources.push((id.clone(), opened));
        tenants.push((id, tenant));
    }
    Ok((tenants.into_iter().collect(), sources.into(), opening))
}

struct FoundTenant {
    id: TenantId,
    tenant: Tenant,
    opened: Opened,
    trying: Option<AbortOnDropHandle<()>>,
}

async fn open_tenant(
    (id, section): (&TenantId, &TenantSection),
    data: &Path,
    clock: &Arc<dyn Clock>,
    on_load: &OnLoad,
) -> anyhow::Result<FoundTenant> {
    let (opened, is_remote) = (Opened::default(), is_remote(&section.source));
    let open = opener((id, section), data, clock.clone(), on_load.clone());
    let open = late::open(id, (&opened, is_remote), open).await;
    let (source, trying) = open.with_context(|| format!("tenant {id}"))?;
    let tenant = Tenant {
        source,
        policy: policy(section),
        access: Arc::new(tenant_access(section)),
    };
    Ok(FoundTenant {
        id: id.clone(),
        tenant,
        opened,
        trying,
    })
}

/// What opens a tenant's source, as often as it is called.
fn opener(
    (id, section): (&TenantId, &TenantSection),
    data: &Path,
    clock: Arc<dyn Clock>,
    on_load: OnLoad,
) -> impl Fn() -> BoxFuture<'static, anyhow::Result<OpenSource>> + Send + 'static {
    let (id, section, indexes) = (id.to_string(), section.clone(), data.join("indexes"));
    move || {
        let (id, on_load) = (id.clone(), on_load.clone());
        let listen = move |progress| on_load(&id, &progress);
        let (section, indexes, clock) = (section.clone(), indexes.clone(), clock.clone());
        async move { source(&section, &indexes, clock, listen).await }.boxed()
    }
}

fn policy(section: &TenantSection) -> Policy {
    let hours = |hours: u32| Duration::from_hours(u64::from(hours));
    Policy {
        chunk_bytes: section.chunk_mib.get().saturating_mul(1 << 20),
        file_bytes: section.file_mib.get().saturating_mul(1 << 20),
        retention: hours(section.retention_hours.get()),
        give_up_after: hours(section.give_up_hours.get()),
        duplicates: match section.duplicates() {
            DuplicatesSetting::Allow => Duplicates::Allow,
            DuplicatesSetting::Reject => Duplicates::Reject,
            DuplicatesSetting::Join => Duplicates::Join,
        },
        most_running: Some(section.most_running()).filter(|most| *most > 0),
        kickoffs_per_hour: (section.kickoffs_per_hour > 0).then_some(section.kickoffs_per_hour),
        weight: section.weight.get(),
        gzip: section.gzip,
        failed_percent: section.failed_percent,
    }
}

fn seconds(number: impl Into<u32>) -> Duration {
    Duration::from_secs(u64::from(number.into()))
}

impl Deployment {
    /// How long and how often chunks are exported.
    pub fn export_limits(settings: &Settings) -> ExportLimits {
        let worker = &settings.worker;
        ExportLimits {
            deadline: seconds(worker.deadline_minutes) * 60,
            lease: seconds(worker.lease_seconds),
            retries: worker
                .retry_seconds
                .iter()
                .map(|wait| seconds(*wait))
                .collect(),
            ..ExportLimits::default()
        }
    }

    /// How much is handed out and how long things are kept.
    pub fn advance_limits(settings: &Settings) -> AdvanceLimits {
        let section = &settings.coordinator;
        AdvanceLimits {
            window: section.window.get(),
            stale_after: seconds(section.stale_seconds),
            unbegun_after: seconds(section.unbegun_minutes) * 60,
            tombstone: seconds(section.tombstone_minutes) * 60,
            ..AdvanceLimits::default()
        }
    }
}
