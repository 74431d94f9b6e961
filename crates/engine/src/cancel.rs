//! Withdraws a job: from its tombstone on it answers 404, and the coordinator removes its objects.

use sluice_model::{Hint, JobRef, JobState, Tombstone, TombstoneReason, Version, layout};
use sluice_ports::{Creation, Message, PortError};

use crate::duplicates::release;
use crate::{Journal, Ports};

/// How a withdrawal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// The job is withdrawn.
    Withdrawn,
    /// There is no such job, or not any more.
    Unknown,
}

/// Withdraws jobs.
#[derive(Clone)]
pub struct Cancel {
    ports: Ports,
    journal: Journal,
}

impl Cancel {
    /// Withdraws jobs in this journal.
    pub fn new(ports: &Ports) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
        }
    }

    /// Withdraws a job, running or ended. Only the first caller hears `Withdrawn`.
    pub async fn withdraw(
        &self,
        job: &JobRef,
        reason: TombstoneReason,
    ) -> Result<Withdrawal, PortError> {
        let Some(record) = self.journal.job(job).await? else {
            return Ok(Withdrawal::Unknown);
        };
        let tombstone = Tombstone {
            v: Version::default(),
            at: self.ports.clock.now(),
            reason,
        };
        let created = self
            .journal
            .create(&layout::cancel(job), &tombstone)
            .await?;
        if created == Creation::Exists {
            return Ok(Withdrawal::Unknown);
        }
        tracing::info!(%job, ?reason, "job withdrawn");
        let outcome = match reason {
            TombstoneReason::Deleted => "deleted",
            TombstoneReason::Expired => "expired",
        };
        let level = &record.scope.level;
        self.ports.metrics.job_ended(level, outcome, None);
        self.ports
            .index
            .end(job, JobState::Cancelled, tombstone.at)
            .await?;
        release(&self.ports, job, record.claims.iter()).await;
        let message = Message {
            hint: Hint::AdvanceJob(job.clone()),
            traceparent: record.traceparent,
        };
        let _sweep_finds_it = self.ports.send(message).await;
        Ok(Withdrawal::Withdrawn)
    }
}
