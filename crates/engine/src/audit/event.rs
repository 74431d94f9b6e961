//! What there is to tell of an event. Patients are never named: a detail may hold how many.

use sluice_fhir::Level;
use sluice_model::{JobRef, TenantId};

use crate::Origin;

/// Stands for whoever holds the admin secret. No client can have this id.
const ADMINISTRATOR: &str = "sluice:administrator";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditAction {
    /// A client gets an access token.
    TokenIssued,
    /// A client gets none.
    TokenRefused,
    /// An export is asked for.
    KickOff,
    /// A manifest is handed out, with links in it.
    ManifestServed,
    /// A data file is handed out.
    FileServed,
    /// A client deletes an export.
    Deleted,
    /// An export has outlived its retention.
    Expired,
    /// A client is registered, changed or removed.
    ClientChanged,
    /// A request without sufficient rights.
    AccessRefused,
    /// An operator cancels an export.
    JobCancelled,
    /// An operator stops what is handed out, of a tenant or of all.
    DispatchPaused,
    /// An operator lets it go on.
    DispatchResumed,
    /// An operator has what nobody could handle tried again.
    DeadRequeued,
    /// An operator lets a worker take nothing more.
    WorkerDrained,
    /// An operator lets it take again.
    WorkerUndrained,
    /// An operator changes what is logged.
    LogFilterChanged,
}

impl AuditAction {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::TokenIssued,
        Self::TokenRefused,
        Self::KickOff,
        Self::ManifestServed,
        Self::FileServed,
        Self::Deleted,
        Self::Expired,
        Self::ClientChanged,
        Self::AccessRefused,
        Self::JobCancelled,
        Self::DispatchPaused,
        Self::DispatchResumed,
        Self::DeadRequeued,
        Self::WorkerDrained,
        Self::WorkerUndrained,
        Self::LogFilterChanged,
    ];

    /// Its word, in events and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenIssued => "token-issued",
            Self::TokenRefused => "token-refused",
            Self::KickOff => "kick-off",
            Self::ManifestServed => "manifest-served",
            Self::FileServed => "file-served",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::ClientChanged => "client-changed",
            Self::AccessRefused => "access-refused",
            Self::JobCancelled => "job-cancelled",
            Self::DispatchPaused => "dispatch-paused",
            Self::DispatchResumed => "dispatch-resumed",
            Self::DeadRequeued => "dead-requeued",
            Self::WorkerDrained => "worker-drained",
            Self::WorkerUndrained => "worker-undrained",
            Self::LogFilterChanged => "log-filter-changed",
        }
    }
}

/// How it ends, as far as is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It is done.
    Success,
    /// It is refused: the client may not, or asks for what cannot be.
    Refused,
    /// It could not be done, by no fault of the client.
    Failed,
}

/// Who does it, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The client's id.
    pub client: Option<String>,
    /// The `jti` of its access token; never the token.
    pub token: Option<String>,
    /// The IP address that it calls from.
    pub address: Option<String>,
    /// The `X-Request-Id` of its request.
    pub request_id: Option<String>,
}

/// An event that is about to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose data it is about, if it is not about all.
    pub tenant: Option<TenantId>,
    /// What is done.
    pub action: AuditAction,
    /// How it ends.
    pub outcome: AuditOutcome,
    /// Who does it; nobody for what Sluice does by itself.
    pub actor: Actor,
    /// The export that it is about.
    pub job: Option<JobRef>,
    /// What that is an export of.
    pub level: Option<Level>,
    /// More, by name: scopes, types, how many patients. Never a patient, a secret or a query.
    pub details: Vec<(&'static str, String)>,
}

impl AuditEntry {
    /// An event of which no more is known.
    pub fn new(tenant: &TenantId, action: AuditAction, outcome: AuditOutcome) -> Self {
        Self::of(Some(tenant), action, outcome)
    }

    /// What an operator does on an admin port. Who that is, is not known but for where they are: they hold its
    /// secret.
    pub fn by_administrator(
        origin: &Origin,
        tenant: Option<&TenantId>,
        action: AuditAction,
    ) -> Self {
        let mut entry = Self::of(tenant, action, AuditOutcome::Success);
        entry.actor = Actor {
            client: Some(ADMINISTRATOR.to_owned()),
            ..origin.actor()
        };
        entry
    }

    /// What somebody tries there without its secret.
    pub fn by_stranger_to_admin(origin: &Origin, path: &str) -> Self {
        let mut entry = Self::of(None, AuditAction::AccessRefused, AuditOutcome::Refused);
        entry.actor = origin.actor();
        let reason = format!("no admin secret for {path}");
        entry.details.push(("reason", reason));
        entry
    }

    fn of(tenant: Option<&TenantId>, action: AuditAction, outcome: AuditOutcome) -> Self {
        Self {
            tenant: tenant.cloned(),
            action,
            outcome,
            actor: Actor::default(),
            job: None,
            level: None,
            details: Vec::new(),
        }
    }
}
