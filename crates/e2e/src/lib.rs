//! A whole deployment in one process, made of the real steps over local adapters, with everything
//! that can go wrong under the control of a test.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sluice_coordinator::{Coordinator, CoordinatorSettings};
use sluice_engine::{
    Advance, AdvanceLimits, Answer, Export, ExportLimits, Journal, Kickoff, KickoffError,
    KickoffRequest, Metrics, Pace, Policy, PollLimits, Ports, Rebuild, Serve, Tenant, Tenants,
};
use sluice_fhir::{Issue, Level, parameters};
use sluice_local::{Habits, MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::{JobRef, Manifest, ManifestFile, TenantId};
use sluice_ports::{Blobs, Index, PortError, Queue, Source};
use sluice_testkit::{Faults, Faulty, PausedClock, SeededEntropy};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How a world differs from a quiet one.
#[derive(Clone)]
pub struct Conditions {
    /// Calls that fail.
    pub faults: Faults,
    /// What the queue does wrong.
    pub habits: Habits,
    /// What the tenant wants.
    pub policy: Policy,
    /// For ids.
    pub seed: u64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            faults: Faults::default(),
            habits: Habits::default(),
            policy: Policy {
                chunk_bytes: 400,
                file_bytes: 300,
                retention: Duration::from_hours(1),
                give_up_after: Duration::from_hours(24),
                ..Policy::default()
            },
            seed: 1,
        }
    }
}

/// What survives the death of every process: the objects.
#[derive(Clone, Default)]
pub struct Disk(pub MemoryBlobs);

/// Processes over a disk. Dropped, all of them are dead at once.
pub struct World {
    ports: Ports,
    tenants: Tenants,
    disk: Disk,
    running: JoinSet<()>,
}

/// What an ended job came to.
#[derive(Debug)]
pub enum Ended {
    /// Its manifest.
    Complete(Arc<Manifest>),
    /// Why it failed.
    Failed(Issue),
    /// It is not there any more.
    Gone,
}

impl World {
    /// Starts everything: rebuilds the index from the disk, then coordinates and works.
    pub async fn start(
        disk: &Disk,
        source: Arc<dyn Source>,
        conditions: &Conditions,
    ) -> Result<Self, PortError> {
        let clock = Arc::new(PausedClock::default());
        let faults = &conditions.faults;
        let blobs: Arc<dyn Blobs> = Arc::new(disk.0.clone());
        let index: Arc<dyn Index> = Arc::new(MemoryIndex::new(clock.clone()));
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::with_habits(conditions.habits));
        let ports = Ports {
            blobs: Arc::new(Faulty::new(blobs, faults)),
            index: Arc::new(Faulty::new(index, faults)),
            queue: Arc::new(Faulty::new(queue, faults)),
            clock,
            entropy: Arc::new(SeededEntropy::new(conditions.seed)),
            metrics: Metrics::default(),
        };
        let tenant = Tenant {
            source: Arc::new(Faulty::new(source, faults)),
            policy: conditions.policy,
        };
        let tenants: Tenants = [(tenant_id()?, tenant)].into_iter().collect();
        let mut world = Self {
            ports,
            tenants,
            disk: disk.clone(),
            running: JoinSet::new(),
        };
        while let Err(error) = Rebuild::new(&world.ports, &world.tenants).all().await {
            if !error.is_transient() {
                return Err(error);
            }
        }
        world.run();
        Ok(world)
    }

    fn run(&mut self) {
        let limits = ExportLimits {
            retries: vec![Duration::from_secs(1); 3],
            ..ExportLimits::default()
        };
        let export = || Export::new(&self.ports, &self.tenants, limits.clone());
        let coordinator = Coordinator {
            advance: Advance::new(&self.ports, &self.tenants, AdvanceLimits::default()),
            export: export(),
            rebuild: Rebuild::new(&self.ports, &self.tenants),
            ports: self.ports.clone(),
        };
        let settings = CoordinatorSettings {
            sweep_every: Duration::from_secs(15),
            reconcile_every: Duration::from_mins(1),
            width: 3,
        };
        let forever = CancellationToken::new();
        let pace = Pace {
            width: 2,
            grace: Duration::from_mins(1),
        };
        let worker = sluice_worker::run(export(), self.ports.clone(), pace, forever.clone());
        self.running.spawn(worker);
        self.running
            .spawn(sluice_coordinator::run(coordinator, settings, forever));
    }

    /// Kicks off an export of everything.
    pub async fn kick_off(&self) -> Result<JobRef, KickoffError> {
        let request = KickoffRequest {
            tenant: tenant_id()?,
            url: "http://test/default/fhir/Patient/$export".to_owned(),
            level: Level::Patient,
            asked: parameters::Kickoff::default(),
            client: None,
            idempotency_key: None,
            traceparent: None,
        };
        Kickoff::new(&self.ports, &self.tenants)
            .accept(request)
            .await
    }

    /// Polls until the job has ended.
    pub async fn ended(&self, job: &JobRef) -> Ended {
        let serve = Serve::new(&self.ports, &self.tenants, PollLimits::default());
        loop {
            let wait = match serve.status(job).await {
                Ok(Answer::Complete(manifest)) => return Ended::Complete(manifest),
                Ok(Answer::Failed(issue)) => return Ended::Failed(issue),
                Ok(Answer::Unknown | Answer::Gone) => return Ended::Gone,
                Ok(Answer::Running(progress)) => progress.retry_after,
                Ok(Answer::TooFast(wait)) => wait,
                Err(_) => Duration::from_secs(1),
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// The ports, for a test to use as any process would.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The journal as it lies on the disk, without faults.
    pub fn journal(&self) -> Journal {
        Journal::new(Arc::new(self.disk.0.clone()))
    }

    /// Every line of files, sorted.
    ///
    /// # Panics
    ///
    /// When a file does not hold what its entry says.
    pub async fn lines(&self, files: &[ManifestFile]) -> Result<Vec<String>, PortError> {
        let mut lines = Vec::new();
        for file in files {
            let stream = self.disk.0.read(&file.key, 0..file.bytes).await?;
            let parts: Vec<_> = stream.try_collect().await?;
            let body = String::from_utf8_lossy(&parts.concat()).into_owned();
            let found = u64::try_from(body.lines().count()).unwrap_or(u64::MAX);
            assert_eq!(found, file.count, "{} holds what it says", file.key);
            lines.extend(body.lines().map(str::to_owned));
        }
        lines.sort_unstable();
        Ok(lines)
    }
}

fn tenant_id() -> Result<TenantId, PortError> {
    "default"
        .parse()
        .map_err(|error: sluice_model::InvalidId| PortError::permanent("naming a tenant", error))
}
