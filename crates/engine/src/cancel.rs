//! Withdraws a job: from its tombstone on it answers 404, and the coordinator removes its objects.

use sluice_model::{
    Hint, JobRecord, JobRef, JobState, Tombstone, TombstoneReason, Version, layout,
};
use sluice_ports::{Creation, Message, PortError};

use crate::audit::write_down;
use crate::duplicates::release;
use crate::{AuditAction, AuditEntry, AuditOutcome, Caller, Journal, Origin, Ports};

/// How a withdrawal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// The job is withdrawn.
    Withdrawn,
    /// There is no such job, or not any more.
    Unknown,
    /// It is another's, who asks must not learn that it exists.
    NotYours,
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

    /// Deletes a caller's job; another's is not there. The token's scopes do not matter (C-043).
    pub async fn delete(&self, caller: &Caller, job: &JobRef) -> Result<Withdrawal, PortError> {
        match self.journal.job(job).await? {
            None => Ok(Withdrawal::Unknown),
            Some(record) if !caller.owns(&record) => Ok(Withdrawal::NotYours),
            // Asked again, it would be told of again.
            Some(_) if self.journal.tombstone(job).await?.is_some() => Ok(Withdrawal::Unknown),
            Some(record) => {
                let action = AuditAction::Deleted;
                let mut entry = AuditEntry::new(&job.tenant, action, AuditOutcome::Success);
                entry.actor = caller.actor();
                self.write_down_and_withdraw(record, entry).await
            }
        }
    }

    /// Deletes anybody's job, as an operator does; to its client it is as if it had done that itself.
    pub async fn by_administrator(
        &self,
        origin: &Origin,
        job: &JobRef,
    ) -> Result<Withdrawal, PortError> {
        match self.journal.job(job).await? {
            Some(record) if self.journal.tombstone(job).await?.is_none() => {
                let action = AuditAction::JobCancelled;
                let mut entry = AuditEntry::by_administrator(origin, Some(&job.tenant), action);
                let client = record.client.clone();
                entry.details = client
                    .map(|client| ("client", client))
                    .into_iter()
                    .collect();
                self.write_down_and_withdraw(record, entry).await
            }
            _ => Ok(Withdrawal::Unknown),
        }
    }

    async fn write_down_and_withdraw(
        &self,
        record: JobRecord,
        entry: AuditEntry,
    ) -> Result<Withdrawal, PortError> {
        let told = AuditEntry {
            job: Some(record.name.clone()),
            level: Some(record.scope.level),
            ..entry
        };
        write_down(&self.ports, &told).await?;
        self.withdraw(&record.name, TombstoneReason::Deleted).await
    }

    /// Withdraws a job, running or ended. Only the first caller hears `Withdrawn`.
    pub(crate) async fn withdraw(
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
