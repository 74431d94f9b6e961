//! Step 1. Accepts a validated request: the job is in the journal before the client hears 202.

use std::time::Duration;

use sluice_auth::LevelName;
use sluice_fhir::{Guide, Level, ResourceType, compartment, parameters};
use sluice_model::{
    Associated, Form, Hint, JobId, JobRecord, JobRef, Scope, Selection, TenantId, Version, layout,
};
use sluice_ports::{Creation, JobStatus, Message, PopulationError, PortError, PortKind, Rate};

use crate::duplicates::{Claims, Duplicates, Names, fingerprint, keep};
use crate::{
    Audit, AuditAction, AuditEntry, AuditOutcome, Caller, Journal, Policy, Ports, Rebuild, Tenant,
    Tenants,
};

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
    /// `Prefer: separate-export-status`.
    pub separate_status: bool,
    /// By which version of the guide it is asked, and to be answered.
    pub guide: Guide,
    /// Who asks.
    pub caller: Caller,
    /// The client's name for this very request: the same name gives the same job.
    pub idempotency_key: Option<String>,
    /// The W3C `traceparent` of the request.
    pub traceparent: Option<String>,
}

/// Why an export was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum KickoffError {
    /// There is no such tenant.
    #[error("no such tenant")]
    UnknownTenant,
    /// The tenant does not export at this level.
    #[error("this level of export is off")]
    LevelOff,
    /// The client may not export at this level.
    #[error("the client may not export at this level")]
    LevelForbidden,
    /// Types are asked for that the token does not open (R-247, T-072).
    #[error("types are asked for that the access token does not open")]
    NotGranted(Vec<ResourceType>),
    /// The token opens nothing that could be exported.
    #[error("the access token opens nothing that could be exported")]
    NothingGranted,
    /// The audit has no room: what would be done could not be told of (G12).
    #[error("the audit has no room")]
    AuditFull,
    /// The client has started as many exports as it may for now; how long to wait.
    #[error("too many exports were started")]
    TooManyKickoffs(Duration),
    /// There is no such population.
    #[error(transparent)]
    Population(#[from] PopulationError),
    /// The same request is running, and the tenant wants no second one.
    #[error("the same export is running")]
    Duplicate(JobRef),
    /// The `Idempotency-Key` belongs to another request.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// The client has as many exports running as it may.
    #[error("too many exports are running")]
    TooManyRunning(u32),
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
    rebuild: Rebuild,
    audit: Audit,
}

impl Kickoff {
    /// Accepts exports of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants, audit: &Audit) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            tenants: tenants.clone(),
            rebuild: Rebuild::new(ports, tenants),
            audit: audit.clone(),
        }
    }

    /// Fixes T, stores the job, then tells the index and the coordinator. Only storing must
    /// succeed: what the other two miss, reading through and the sweep make good.
    pub async fn accept(&self, request: KickoffRequest) -> Result<JobRef, KickoffError> {
        let level = request.level.clone();
        let accepted = self.admit(request).await;
        let outcome = match &accepted {
            Ok((_, outcome)) => outcome,
            // One tenant's, and no sign that anything is wrong with what all share.
            Err(
                KickoffError::Port(error) | KickoffError::Population(PopulationError::Port(error)),
            ) if error.kind == PortKind::NotReady => "source_not_ready",
            Err(
                KickoffError::Port(_)
                | KickoffError::AuditFull
                | KickoffError::Population(PopulationError::Port(_)),
            ) => "unavailable",
            Err(KickoffError::Duplicate(_)) => "duplicate",
            Err(KickoffError::TooManyRunning(_) | KickoffError::TooManyKickoffs(_)) => "too_many",
            Err(_) => "refused",
        };
        self.ports.metrics.kicked_off(&level, outcome);
        accepted.map(|(job, _)| job)
    }

    /// The job, and whether it is a new one.
    async fn admit(&self, request: KickoffRequest) -> Result<(JobRef, &'static str), KickoffError> {
        let tenant = self
            .tenants
            .get(&request.tenant)
            .ok_or(KickoffError::UnknownTenant)?;
        may_export(&request, tenant)?;
        if self.audit.is_full().await? {
            return Err(KickoffError::AuditFull);
        }
        self.spend(&request, &tenant.policy).await?;
        let mut id = [0; 16];
        self.ports.entropy.fill(&mut id)?;
        let job = JobRef {
            tenant: request.tenant.clone(),
            job: JobId::from_bytes(id),
        };
        let record = self.record(request.clone(), tenant, &job).await?;
        let mut claims = Claims::new(&self.ports, &self.rebuild, &job);
        let admitted = admit(&mut claims, &request, &record, &tenant.policy).await;
        let stored = match admitted {
            Ok(None) => match self.tell(&request, &record, &record.name).await {
                Ok(()) => self.store(record, &claims, &tenant.policy).await,
                Err(error) => Err(error.into()),
            },
            Ok(Some(same)) => {
                claims.give_back().await;
                self.tell(&request, &record, &same).await?;
                self.bind(&request, &same, &tenant.policy).await?;
                return Ok((same, "joined"));
            }
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            claims.give_back().await;
            return Err(error);
        }
        Ok((job, "accepted"))
    }

    /// Tells the audit of an export that is about to begin, or that the caller is about to be led to.
    async fn tell(
        &self,
        request: &KickoffRequest,
        record: &JobRecord,
        job: &JobRef,
    ) -> Result<(), PortError> {
        let tenant = &record.name.tenant;
        let mut entry = AuditEntry::new(tenant, AuditAction::KickOff, AuditOutcome::Success);
        entry.actor = request.caller.actor();
        entry.job = Some(job.clone());
        entry.level = Some(record.scope.level.clone());
        let types: Vec<&str> = record.scope.types.iter().map(|kind| kind.name()).collect();
        entry.details.push(("types", types.join(",")));
        if let Some(patients) = &record.scope.patients {
            entry.details.push(("patients", patients.len().to_string()));
        }
        self.audit.record(&entry).await
    }

    /// One of the exports that the client may start in an hour.
    async fn spend(&self, request: &KickoffRequest, policy: &Policy) -> Result<(), KickoffError> {
        let own = request
            .caller
            .registered()
            .and_then(|client| client.limits.kickoffs_per_hour);
        let most = own.or(policy.kickoffs_per_hour).filter(|most| *most > 0);
        let Some(most) = most else {
            return Ok(());
        };
        let rate = Rate {
            burst: most,
            every: Duration::from_hours(1) / most,
        };
        let client = request.caller.id().unwrap_or_default();
        let budget = format!("kickoff/{}/{client}", request.tenant);
        match self.ports.index.spend(&budget, rate).await? {
            Some(wait) => Err(KickoffError::TooManyKickoffs(wait)),
            None => Ok(()),
        }
    }

    /// A key that came with a request that was joined to another's is that job's from now on.
    async fn bind(
        &self,
        request: &KickoffRequest,
        same: &JobRef,
        policy: &Policy,
    ) -> Result<(), PortError> {
        let Some(key) = &request.idempotency_key else {
            return Ok(());
        };
        let key = Names::of(same, request.caller.id()).key(key);
        keep(&self.ports, same, [key].iter(), policy).await
    }

    async fn record(
        &self,
        request: KickoffRequest,
        tenant: &Tenant,
        job: &JobRef,
    ) -> Result<JobRecord, KickoffError> {
        let mut types = types(&request, tenant)?;
        let associated = associated(&request, &mut types)?;
        let organize = organize(&request, &types)?;
        let scope = Scope {
            types,
            level: request.level,
            since: request.asked.since,
            until: request.asked.until,
            patients: request.asked.patients,
            selection: Selection {
                filters: request.asked.filters,
                elements: request.asked.elements,
                associated,
            },
            snapshot: tenant.source.snapshot().await?,
        };
        tenant.source.check(&scope).await?;
        let form = Form {
            separate_status: request.separate_status,
            minimum_file: request.asked.minimum_file,
            maximum_file: request.asked.maximum_file,
            guide: request.guide,
            partial: request.asked.partial_manifests,
            organize,
        };
        Ok(JobRecord {
            v: Version::lowest(scope.selection.is_everything() && form.is_plain()),
            name: job.clone(),
            url: request.url,
            client: request.caller.id().map(str::to_owned),
            scope,
            form,
            ignored: request.asked.ignored,
            claims: Vec::new(),
            traceparent: request.traceparent,
            accepted_at: self.ports.clock.now(),
        })
    }

    async fn store(
        &self,
        mut record: JobRecord,
        claims: &Claims<'_>,
        policy: &Policy,
    ) -> Result<(), KickoffError> {
        record.claims.clone_from(&claims.names);
        let key = layout::job_record(&record.name);
        if self.journal.create(&key, &record).await? == Creation::Exists {
            let taken = PortError::new(PortKind::Transient, "storing a job under a new id");
            return Err(taken.into());
        }
        let (kept, ()) = tokio::join!(claims.keep(policy), self.announce(&record.name, &record));
        if let Err(error) = kept {
            let error = error.chain();
            tracing::warn!(job = %record.name, error, "a job may be asked for twice");
        }
        Ok(())
    }

    async fn announce(&self, job: &JobRef, record: &JobRecord) {
        let status = JobStatus::accepted(record.accepted_at);
        if let Err(error) = self.ports.index.insert(job, status).await {
            tracing::warn!(%job, error = error.chain(), "a job is accepted but not indexed yet");
        }
        let message = Message {
            hint: Hint::AdvanceJob(job.clone()),
            traceparent: record.traceparent.clone(),
        };
        if let Err(error) = self.ports.send(message).await {
            tracing::warn!(%job, error = error.chain(), "a job waits for the sweep");
        }
        tracing::info!(%job, types = record.scope.types.len(), "job accepted");
    }
}

/// Claims the names of a job; answers the job that is the same, if the client is to have that one.
async fn admit(
    claims: &mut Claims<'_>,
    request: &KickoffRequest,
    record: &JobRecord,
    policy: &Policy,
) -> Result<Option<JobRef>, KickoffError> {
    let names = Names::of(&record.name, record.client.as_deref());
    let print = fingerprint(record)?;
    if let Some(key) = &request.idempotency_key
        && let Some(same) = claims.claim(names.key(key)).await?
    {
        return claims.same_request(&same, &print).await;
    }
    if policy.duplicates != Duplicates::Allow
        && let Some(same) = claims.claim(names.request(&print)).await?
    {
        return match policy.duplicates {
            Duplicates::Reject => Err(KickoffError::Duplicate(same)),
            Duplicates::Allow | Duplicates::Join => Ok(Some(same)),
        };
    }
    let own = request
        .caller
        .registered()
        .and_then(|client| client.limits.most_running);
    if let Some(most) = own.or(policy.most_running)
        && !claims.place(&names, most).await?
    {
        return Err(KickoffError::TooManyRunning(most));
    }
    Ok(None)
}

/// What the tenant and the client's registration let be asked. A group that is not the client's is not
/// there for it.
fn may_export(request: &KickoffRequest, tenant: &Tenant) -> Result<(), KickoffError> {
    let level = &request.level;
    if !tenant.access.levels.contains(&LevelName::of(level)) {
        return Err(KickoffError::LevelOff);
    }
    if !request.caller.may_export(level) {
        return Err(KickoffError::LevelForbidden);
    }
    match level {
        Level::Group(id) if !request.caller.may_see(id) => {
            Err(PopulationError::UnknownGroup.into())
        }
        _ => Ok(()),
    }
}

/// What was asked, if the token opens all of it; or all that it opens (C-009).
fn types(request: &KickoffRequest, tenant: &Tenant) -> Result<Vec<ResourceType>, KickoffError> {
    let granted = |kind: &ResourceType| request.caller.may_export_type(*kind);
    if let Some(asked) = &request.asked.types {
        let missing: Vec<ResourceType> = asked
            .iter()
            .copied()
            .filter(|kind| !granted(kind))
            .collect();
        return if missing.is_empty() {
            Ok(asked.clone())
        } else {
            Err(KickoffError::NotGranted(missing))
        };
    }
    let types: Vec<ResourceType> = every_type(&request.level)
        .into_iter()
        .filter(|kind| tenant.access.rules.admits_type(*kind))
        .filter(granted)
        .collect();
    if types.is_empty() {
        return Err(KickoffError::NothingGranted);
    }
    Ok(types)
}

/// The Provenances that come along, if the token opens them: from here on they are of the export's types.
fn associated(
    request: &KickoffRequest,
    types: &mut Vec<ResourceType>,
) -> Result<Option<Associated>, KickoffError> {
    const PROVENANCE: ResourceType = ResourceType::PROVENANCE;
    let Some(provenances) = request.asked.associated else {
        return Ok(None);
    };
    let besides = types.contains(&PROVENANCE);
    if !request.caller.may_export_type(PROVENANCE) {
        return Err(KickoffError::NotGranted(vec![PROVENANCE]));
    }
    if !besides {
        types.push(PROVENANCE);
        types.sort_unstable();
    }
    Ok(Some(Associated {
        provenances,
        besides,
    }))
}

/// What files are organized by, which heads each block: the token must open it.
fn organize(
    request: &KickoffRequest,
    types: &[ResourceType],
) -> Result<Option<ResourceType>, KickoffError> {
    match request.asked.organize {
        Some(kind) if !types.contains(&kind) => Err(KickoffError::NotGranted(vec![kind])),
        organize => Ok(organize),
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
