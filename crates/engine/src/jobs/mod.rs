//! What operators see of exports: a list, one of them, its chunks. Names of patients, queries and ranges of a
//! source are left out; the id of a Group is shown, as the registry of clients has it too.

mod order;
mod view;

pub use view::{
    ChunkCounts, ChunkPage, ChunkState, ChunkView, JobDetails, JobList, JobView, JobsQuery,
    StateFilter,
};

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};
use sluice_fhir::Level;
use sluice_model::{CHUNKS_PER_PAGE, ChunkId, JobRecord, JobRef, Receipt};
use sluice_ports::{HandedOut, JobStatus, PortError};

use crate::{Journal, Pauses, Ports, Rebuild, Tenants};
use order::{Found, keep_first};
use view::chunk;

/// Calls at once.
const READS: usize = 16;

/// Looks at jobs.
#[derive(Clone)]
pub struct Jobs {
    ports: Ports,
    journal: Journal,
    rebuild: Rebuild,
}

impl Jobs {
    /// Looks at the jobs of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            rebuild: Rebuild::new(ports, tenants),
        }
    }

    /// A part of the list. The index is asked for every job, the journal for those of this part.
    pub async fn list(&self, query: &JobsQuery) -> Result<JobList, PortError> {
        let all = self.ports.index.jobs().await?.into_iter();
        let wanted = all.filter(|job| query.tenant.as_ref().is_none_or(|one| *one == job.tenant));
        let asked = futures::stream::iter(wanted).map(|job| async move {
            let status = self.ports.index.get(&job).await?;
            Ok::<_, PortError>(status.map(|status| Found { job, status }))
        });
        let mut asked = asked.buffer_unordered(READS);
        let mut found: Vec<Found> = Vec::new();
        while let Some(next) = asked.try_next().await? {
            found.extend(next.filter(|found| found.is_in(query)));
            // One more than wanted tells that there is more; what is beyond is not kept.
            if found.len() > 4 * query.limit.saturating_add(1) {
                keep_first(&mut found, query.limit);
            }
        }
        keep_first(&mut found, query.limit);
        let is_more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| is_more).map(Found::cursor);
        let views = futures::stream::iter(found).map(|found| self.view(found));
        let views: Vec<Option<JobView>> = views.buffered(READS).try_collect().await?;
        let jobs = views.into_iter().flatten().collect();
        Ok(JobList { jobs, next })
    }

    /// One whose `job.json` is gone is going.
    async fn view(&self, found: Found) -> Result<Option<JobView>, PortError> {
        let record = match self.journal.job(&found.job).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            // It must not hide all others.
            Err(error) if error.is_unreadable() => {
                let job = &found.job;
                tracing::warn!(%job, error = error.chain(), "a job cannot be read and is not listed");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.seen(&record, found.status).await.map(Some)
    }

    async fn seen(&self, record: &JobRecord, status: JobStatus) -> Result<JobView, PortError> {
        let job = &record.name;
        let inside = self.ports.index.inside(job).await?;
        let is_known = status.state.is_running() || status.planned.chunks > 0;
        let chunks = is_known.then_some(ChunkCounts {
            planned: status.planned.chunks,
            sealed: status.planned.sealed,
            done: status.done,
            handed_out: status.outstanding,
            failed: inside.failed,
        });
        let age = self.ports.clock.now().since(status.accepted_at);
        Ok(JobView {
            tenant: job.tenant.clone(),
            job: job.job,
            state: status.state,
            accepted_at: status.accepted_at,
            age_seconds: age.as_secs(),
            ended_at: status.ended_at,
            client: record.client.clone(),
            level: record.scope.level.name().to_owned(),
            group: match &record.scope.level {
                Level::Group(id) => Some(id.clone()),
                Level::System | Level::Patient => None,
            },
            chunks,
            expected: status.planned.expected,
            written: status.tally,
            in_flight: status.in_flight,
        })
    }

    /// One job; also one that the index does not know of.
    pub async fn show(&self, job: &JobRef) -> Result<Option<JobDetails>, PortError> {
        let status = match self.ports.index.get(job).await? {
            Some(status) => Some(status),
            None => self.rebuild.job(job).await?,
        };
        let (Some(status), Some(record)) = (status, self.journal.job(job).await?) else {
            return Ok(None);
        };
        let pauses = Pauses::read(&self.ports).await?;
        let manifest = self.journal.manifest(job).await?;
        let tombstone = self.journal.tombstone(job).await?;
        let is_running = status.state.is_running();
        let view = self.seen(&record, status).await?;
        let scope = record.scope;
        Ok(Some(JobDetails {
            job: view,
            types: scope.types,
            since: scope.since,
            until: scope.until,
            patients: scope.patients.map(|patients| patients.len()),
            transaction_time: scope.snapshot.time,
            paused: is_running && pauses.stop(&job.tenant),
            expires_at: manifest.as_ref().map(|manifest| manifest.expires_at),
            failure: manifest.and_then(|manifest| manifest.failure),
            withdrawn: tombstone.map(|tombstone| tombstone.reason),
        }))
    }

    /// The chunks behind a chunk, or from the first; nothing of a job that is not there. At most a page of
    /// its plan at a time.
    pub async fn chunks(
        &self,
        job: &JobRef,
        after: Option<ChunkId>,
    ) -> Result<Option<ChunkPage>, PortError> {
        if self.journal.job(job).await?.is_none() {
            return Ok(None);
        }
        let first = after.map_or(Some(0), |after| after.ordinal().checked_add(1));
        let first = ChunkId::from_ordinal(first.unwrap_or(u32::MAX));
        let Some(page) = self.journal.page(job, first.page).await? else {
            let (chunks, next) = (Vec::new(), None);
            return Ok(Some(ChunkPage { chunks, next }));
        };
        let receipts = self.receipts(job, first).await?;
        let inside = self.ports.index.inside(job).await?.handed_out.into_iter();
        let out: HashMap<u32, HandedOut> = inside.map(|out| (out.chunk, out)).collect();
        let ids = (0..CHUNKS_PER_PAGE).map(|index| ChunkId {
            page: first.page,
            index,
        });
        let chunks = ids.zip(&page.chunks).filter(|(id, _)| *id >= first);
        let chunks: Vec<ChunkView> = chunks
            .map(|(id, planned)| chunk(id, planned, (receipts.get(&id), out.get(&id.ordinal()))))
            .collect();
        let last = chunks.last().map(|chunk| chunk.chunk);
        let next = last.filter(|_| page.next.is_some());
        Ok(Some(ChunkPage { chunks, next }))
    }

    /// How chunks of a page ended, from a given one.
    async fn receipts(
        &self,
        job: &JobRef,
        first: ChunkId,
    ) -> Result<HashMap<ChunkId, Receipt>, PortError> {
        let before = first.ordinal().checked_sub(1).map(ChunkId::from_ordinal);
        let ended = self.journal.ended_chunks(job, before).await?.into_iter();
        let here = ended.filter(|chunk| chunk.page == first.page);
        let reads = futures::stream::iter(here).map(|chunk| self.journal.receipt(job, chunk));
        let read: Vec<Option<Receipt>> = reads.buffered(READS).try_collect().await?;
        let read = read.into_iter().flatten();
        Ok(read.map(|receipt| (receipt.chunk, receipt)).collect())
    }
}
