//! Fills the index from the journal: at start, when the index was lost, and for a single job that
//! is asked for and not known.

use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use sluice_model::{JobRecord, JobRef, JobState, TenantId, layout};
use sluice_ports::{JobStatus, PortError};

use crate::assemble::state_of;
use crate::duplicates::{is_key, keep};
use crate::expire::purge_leftovers;
use crate::plan::Plan;
use crate::{Journal, Ports, Tenants};

/// Jobs read at once.
const READS: usize = 16;

/// No chunk is written for so long.
const UNFINISHED: Duration = Duration::from_hours(24);

/// Fills the index from the journal.
#[derive(Clone)]
pub struct Rebuild {
    ports: Ports,
    journal: Journal,
    tenants: Tenants,
}

impl Rebuild {
    /// Rebuilds the jobs of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            tenants: tenants.clone(),
        }
    }

    /// Adds every job if the index has lost what it held, and notes that it holds them; says how
    /// many were added, or that there was nothing to do.
    pub async fn unless_marked(&self) -> Result<Option<usize>, PortError> {
        if self.ports.index.is_marked().await? {
            return Ok(None);
        }
        let added = self.all().await?;
        self.ports.metrics.reconciled("index_rebuilt", 1);
        // Afterwards: whoever dies before has rebuilt half of it.
        self.ports.index.mark().await?;
        Ok(Some(added))
    }

    /// Frees what writers that died left unfinished in the store.
    pub async fn sweep_unfinished(&self) -> Result<(), PortError> {
        let now = self.ports.clock.now();
        let freed = self.ports.blobs.sweep_unfinished(UNFINISHED, now).await?;
        self.ports.metrics.reconciled("upload_freed", freed);
        if freed > 0 {
            tracing::info!(freed, "uploads of writers that died are freed");
        }
        Ok(())
    }

    /// Adds every job that the index does not know, and removes what is left of jobs that are no
    /// more. Says how many were added.
    pub async fn all(&self) -> Result<usize, PortError> {
        let mut added = 0;
        for tenant in self.tenants.ids() {
            let names = self.journal.folders(&layout::tenant(tenant)).await?;
            let jobs: Vec<JobRef> = names
                .iter()
                .filter_map(|name| job_named(tenant, name))
                .collect();
            let rebuilt = futures::stream::iter(jobs).map(|job| self.unless_unreadable(job));
            let mut rebuilt = rebuilt.buffer_unordered(READS);
            while let Some(new) = rebuilt.try_next().await? {
                added += usize::from(new);
            }
        }
        Ok(added)
    }

    /// A job that this build cannot read stays out of the index, and keeps no other from it: a newer build
    /// adopts it if it can.
    async fn unless_unreadable(&self, job: JobRef) -> Result<bool, PortError> {
        match self.unless_known(job.clone()).await {
            Err(error) if error.is_unreadable() => {
                tracing::error!(%job, error = error.chain(), "a job in the journal cannot be read and is left alone");
                Ok(false)
            }
            known => known,
        }
    }

    async fn unless_known(&self, job: JobRef) -> Result<bool, PortError> {
        if self.ports.index.get(&job).await?.is_some() {
            return Ok(false);
        }
        if self.job(&job).await?.is_some() {
            return Ok(true);
        }
        // The journal alone may say that a job is no more: what the index does not know, it may
        // have lost at this very moment.
        if self.journal.job(&job).await?.is_none() {
            purge_leftovers(&self.journal, &job).await?;
        }
        Ok(false)
    }

    /// Adds one job, if the journal has it, and says where it stands.
    pub async fn job(&self, job: &JobRef) -> Result<Option<JobStatus>, PortError> {
        let Some(record) = self.journal.job(job).await? else {
            return Ok(None);
        };
        let status = self.status(&record).await?;
        let is_running = status.state.is_running();
        let new = self.ports.index.insert(job, status.clone()).await?;
        self.ports.metrics.reconciled("job_adopted", new.into());
        if is_running {
            // After the insertion: a chunk that ends from here on marks itself.
            if let Err(error) = self.progress(job).await {
                // Half of a job would count as known for good.
                self.ports.index.remove(job).await?;
                return Err(error);
            }
        }
        if let Some(tenant) = self.tenants.get(&job.tenant) {
            let names = record
                .claims
                .iter()
                .filter(|name| is_running || is_key(name));
            keep(&self.ports, job, names, &tenant.policy).await?;
        }
        let indexed = self.ports.index.get(job).await?;
        Ok(Some(indexed.unwrap_or(status)))
    }

    async fn status(&self, record: &JobRecord) -> Result<JobStatus, PortError> {
        let job = &record.name;
        let mut status = JobStatus::accepted(record.accepted_at);
        if let Some(manifest) = self.journal.manifest(job).await? {
            status.state = state_of(&manifest);
            status.ended_at = Some(manifest.completed_at);
        }
        if let Some(tombstone) = self.journal.tombstone(job).await? {
            status.state = JobState::Cancelled;
            status.ended_at = Some(tombstone.at);
        }
        Ok(status)
    }

    async fn progress(&self, job: &JobRef) -> Result<(), PortError> {
        let (last, sealed) = self.journal.plan(job).await?;
        let plan = Plan::of(last.as_ref(), sealed.as_ref());
        let ended = plan.ended(&self.journal, job).await?;
        self.ports.index.planned(job, plan.due(ended)).await?;
        let mut receipts = pin!(self.journal.receipts(job, |_| true));
        while let Some(receipt) = receipts.try_next().await? {
            let (chunk, tally) = (receipt.chunk.ordinal(), receipt.tally());
            if receipt.failure.is_some() {
                self.ports.index.chunk_failed(job, chunk).await?;
            }
            self.ports.index.chunk_done(job, chunk, tally).await?;
        }
        Ok(())
    }
}

fn job_named(tenant: &TenantId, name: &str) -> Option<JobRef> {
    let tenant = tenant.clone();
    name.parse().ok().map(|job| JobRef { tenant, job })
}
