//! What becomes of a chunk that failed: it is tried again, or its receipt says why it is not exported.

use sluice_fhir::{Issue, IssueCode};
use sluice_model::{AttemptId, ChunkId, JobRef, Receipt, Version, layout};
use sluice_ports::{Creation, PortError, Settle};

use super::Export;
use crate::metrics::ChunkOutcome;

impl Export {
    pub(super) async fn retry_or_give_up(
        &self,
        job: &JobRef,
        chunk: ChunkId,
        attempt: u32,
        error: PortError,
    ) -> (ChunkOutcome, Settle) {
        let wait = usize::try_from(attempt)
            .ok()
            .and_then(|attempt| self.limits.retries.get(attempt));
        tracing::warn!(%job, %chunk, attempt, error = error.chain(), "a chunk failed");
        if error.is_for_another() {
            // While versions are rolled out (H3), or the source is not there for this worker: no try has failed, and
            // once it is stale the chunk is handed out again, to one that can do it by and by. No slot waits for it
            // meanwhile, and hints that came back by themselves would become ever more.
            return (ChunkOutcome::PutOff, Settle::Ack);
        }
        match wait {
            Some(wait) if error.is_transient() => {
                return (ChunkOutcome::Retried, Settle::RetryAfter(*wait));
            }
            _ => {}
        }
        let class = if error.is_transient() {
            "retries"
        } else {
            "permanent"
        };
        let reason = format!("{} failed", error.action);
        match self.give_up(job, chunk, class, &reason).await {
            Ok(()) => (ChunkOutcome::GivenUp, Settle::Ack),
            // The coordinator reads the dead lane and will say the same.
            Err(_) => (ChunkOutcome::GivenUp, Settle::DeadLetter),
        }
    }

    /// Ends a chunk that cannot be exported with a receipt that says why; `class` is for counting.
    pub async fn give_up(
        &self,
        job: &JobRef,
        chunk: ChunkId,
        class: &'static str,
        reason: &str,
    ) -> Result<(), PortError> {
        let Some(record) = self.journal.job(job).await? else {
            return Ok(());
        };
        if self.journal.tombstone(job).await?.is_some() {
            return Ok(());
        }
        let mut id = [0; 8];
        self.ports.entropy.fill(&mut id)?;
        let text = format!("chunk {chunk} could not be exported: {reason}");
        let failure = Receipt {
            v: Version::default(),
            chunk,
            attempt: AttemptId::from_bytes(id),
            files: Vec::new(),
            deleted: Vec::new(),
            issues: Vec::new(),
            notes: None,
            planned_bytes: None,
            failure: Some(Issue::error(IssueCode::Incomplete, text)),
        };
        let key = layout::receipt(job, chunk);
        if self.journal.create(&key, &failure).await? == Creation::Created {
            self.ports.metrics.poisoned(class);
        }
        if let Some(receipt) = self.journal.receipt(job, chunk).await? {
            self.report(&record, &receipt).await;
        }
        Ok(())
    }
}
