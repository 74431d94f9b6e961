//! What operators do to the dispatch: pause it, let it go on, and have dead letters tried again. Each is
//! written down before it is done.

use serde::{Deserialize, Serialize};
use sluice_fhir::Instant;
use sluice_model::{Lane, TenantId, Version, layout};
use sluice_ports::PortError;

use crate::audit::write_down;
use crate::{AuditAction, AuditEntry, Journal, Origin, Pauses, Ports, Tenants};

/// Dead letters that are tried again at one go.
const MOST_REQUEUED: u32 = 1000;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such tenant.
    #[error("there is no such tenant")]
    UnknownTenant,
    /// The store or the queue could not be reached.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What lies at the key of a pause.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pause {
    v: Version,
    at: Instant,
}

/// A tenant's part of the dispatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDispatch {
    /// The tenant.
    pub tenant: TenantId,
    /// Whether it is paused, by itself; with all of the dispatch it is too.
    pub paused: bool,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
}

/// About how many messages wait, by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingHints {
    /// To look at a job.
    pub jobs: u32,
    /// To export a chunk.
    pub chunks: u32,
    /// That nobody could handle.
    pub dead: u32,
}

/// How the dispatch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchView {
    /// Whether all of it is paused.
    pub paused: bool,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// Every tenant's part.
    pub tenants: Vec<TenantDispatch>,
    /// What waits in the queue; counts lag.
    pub waiting: WaitingHints,
}

/// Steers the dispatch.
#[derive(Clone)]
pub struct Control {
    ports: Ports,
    journal: Journal,
    tenants: Tenants,
    origin: Origin,
}

impl Control {
    /// Steers the dispatch of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            tenants: tenants.clone(),
            origin: Origin::default(),
        }
    }

    /// The same for somebody of whom the audit is told where they are.
    #[must_use]
    pub fn asked_from(&self, origin: Origin) -> Self {
        Self {
            origin,
            ..self.clone()
        }
    }

    /// How it is.
    pub async fn show(&self) -> Result<DispatchView, ControlError> {
        let stopped = Pauses::read(&self.ports).await?;
        let mut tenants = Vec::new();
        for tenant in self.tenants.ids() {
            let paused = stopped.tenants.contains(tenant);
            tenants.push(TenantDispatch {
                tenant: tenant.clone(),
                paused,
                since: self.since(paused, Some(tenant)).await?,
            });
        }
        let queue = &self.ports.queue;
        Ok(DispatchView {
            paused: stopped.everything,
            since: self.since(stopped.everything, None).await?,
            tenants,
            waiting: WaitingHints {
                jobs: queue.waiting(Lane::Jobs).await?,
                chunks: queue.waiting(Lane::Chunks).await?,
                dead: queue.waiting(Lane::Dead).await?,
            },
        })
    }

    async fn since(
        &self,
        paused: bool,
        tenant: Option<&TenantId>,
    ) -> Result<Option<Instant>, PortError> {
        if !paused {
            return Ok(None);
        }
        let key = layout::pause(tenant);
        let pause: Option<Pause> = self.journal.read(&key, "reading a pause").await?;
        Ok(pause.map(|pause| pause.at))
    }

    /// Hands out no chunk more of a tenant, or none at all, until [`Control::resume`]. Chunks that are
    /// handed out are exported to their end, and exports are still accepted and planned.
    pub async fn pause(&self, tenant: Option<&TenantId>) -> Result<(), ControlError> {
        self.tell(AuditAction::DispatchPaused, tenant).await?;
        let pause = Pause {
            v: Version::default(),
            at: self.ports.clock.now(),
        };
        // One that is paused stays so.
        self.journal.create(&layout::pause(tenant), &pause).await?;
        Ok(())
    }

    /// Hands out chunks again: at the next sweep at the latest.
    pub async fn resume(&self, tenant: Option<&TenantId>) -> Result<(), ControlError> {
        self.tell(AuditAction::DispatchResumed, tenant).await?;
        self.journal.delete(layout::pause(tenant)).await?;
        Ok(())
    }

    async fn tell(
        &self,
        action: AuditAction,
        tenant: Option<&TenantId>,
    ) -> Result<(), ControlError> {
        if tenant.is_some_and(|tenant| self.tenants.get(tenant).is_none()) {
            return Err(ControlError::UnknownTenant);
        }
        let mut entry = AuditEntry::by_administrator(&self.origin, tenant, action);
        let what = tenant.map_or("everything", TenantId::as_str);
        entry.details.push(("dispatch", what.to_owned()));
        Ok(write_down(&self.ports, &entry).await?)
    }

    /// Has dead letters tried again as if they were new, at most a thousand; says how many. What a
    /// coordinator has ended already stays as it is, so pause everything first.
    pub async fn requeue_dead(&self) -> Result<u32, ControlError> {
        let entry = AuditEntry::by_administrator(&self.origin, None, AuditAction::DeadRequeued);
        write_down(&self.ports, &entry).await?;
        let moved = self.ports.queue.requeue_dead(MOST_REQUEUED).await?;
        tracing::info!(moved, "dead letters are tried again");
        Ok(moved)
    }
}
