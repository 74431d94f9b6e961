//! Step 1. Accepts a validated request: the job is in the journal before the client hears 202.

use sluice_fhir::{Level, ResourceType, compartment, parameters};
use sluice_model::{JobId, JobRecord, JobRef, Scope, TenantId, Version, layout};
use sluice_ports::{Creation, JobStatus, PopulationError, PortError, PortKind};

use crate::{Journal, Ports, Tenants};

/// A request whose parameters are checked.
#[derive(Clone, Debug)]
pub struct KickoffRequest {
    /// Whose data source.
    pub tenant: TenantId,
    /// The full URL that was called.
    pub url: String,
    /// Whose data.
    pub level: Level,
    /// What was asked.
    pub asked: parameters::Kickoff,
    /// Who asks.
    pub client: Option<String>,
}

/// Why an export was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum KickoffError {
    /// There is no such tenant.
    #[error("no such tenant")]
    UnknownTenant,
    /// There is no such population.
    #[error(transparent)]
    Population(#[from] PopulationError),
    /// The source or the journal could not be reached.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Accepts exports.
#[derive(Clone)]
pub struct Kickoff {
    ports: Ports,
    journal: Journal,
    tenants: Tenants,
}

impl Kickoff {
    /// Accepts exports of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            tenants: tenants.clone(),
        }
    }

    /// Fixes T, stores the job, then tells the index and the coordinator. Only storing must
    /// succeed: what the other two miss, reading through and the sweep make good.
    pub async fn accept(&self, request: KickoffRequest) -> Result<JobRef, KickoffError> {
        let tenant = self
            .tenants
            .get(&request.tenant)
            .ok_or(KickoffError::UnknownTenant)?;
        let mut id = [0; 16];
        self.ports.entropy.fill(&mut id)?;
        let job = JobRef {
            tenant: request.tenant,
            job: JobId::from_bytes(id),
        };
        let scope = Scope {
            types: request
                .asked
                .types
                .unwrap_or_else(|| every_type(&request.level)),
            level: request.level,
            since: request.asked.since,
            until: request.asked.until,
            patients: request.asked.patients,
            snapshot: tenant.source.snapshot().await?,
        };
        tenant.source.check(&scope).await?;
        let record = JobRecord {
            v: Version::default(),
            name: job.clone(),
            url: request.url,
            client: request.client,
            scope,
            ignored: request.asked.ignored,
            accepted_at: self.ports.clock.now(),
        };
        let key = layout::job_record(&job);
        if self.journal.create(&key, &record).await? == Creation::Exists {
            let taken = PortError::new(PortKind::Transient, "storing a job under a new id");
            return Err(taken.into());
        }
        self.announce(&job, &record).await;
        Ok(job)
    }

    async fn announce(&self, job: &JobRef, record: &JobRecord) {
        let status = JobStatus::accepted(record.accepted_at);
        if let Err(error) = self.ports.index.insert(job, status).await {
            tracing::warn!(%job, error = error.chain(), "a job is accepted but not indexed yet");
        }
        let hint = sluice_model::Hint::AdvanceJob(job.clone());
        if let Err(error) = self.ports.queue.send(hint.into()).await {
            tracing::warn!(%job, error = error.chain(), "a job waits for the sweep");
        }
        tracing::info!(%job, types = record.scope.types.len(), "job accepted");
    }
}

/// What an export without `_type` contains. Groups go with the system level only.
fn every_type(level: &Level) -> Vec<ResourceType> {
    let wanted = |kind: &ResourceType| match level {
        Level::System => kind.is_exportable(),
        Level::Patient | Level::Group(_) => compartment::is_exportable(*kind),
    };
    ResourceType::all().filter(wanted).collect()
}
