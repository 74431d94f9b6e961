//! What operators see of exports: a list, one of them, its chunks. Names of patients, queries and ranges of a
//! source are left out; the id of a Group is shown, as the registry of clients has it too.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use sluice_fhir::{Instant, Issue, Level, ResourceType};
use sluice_model::{
    AttemptId, CHUNKS_PER_PAGE, ChunkId, JobId, JobRecord, JobRef, JobState, PlannedChunk, Receipt,
    Tally, TenantId, TombstoneReason, Work,
};
use sluice_ports::{HandedOut, JobStatus, PortError};

use crate::{Journal, Pauses, Ports, Rebuild, Tenants};

/// Calls at once.
const READS: usize = 16;

/// Which jobs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// Those that are accepted or exporting.
    Running,
    /// Those in one state.
    Only(JobState),
}

impl StateFilter {
    fn admits(self, state: JobState) -> bool {
        match self {
            Self::Running => state.is_running(),
            Self::Only(wanted) => state == wanted,
        }
    }
}

/// Which part of the list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobsQuery {
    /// Of this tenant only.
    pub tenant: Option<TenantId>,
    /// In these states only.
    pub state: Option<StateFilter>,
    /// After the job that a list before ended with, as [`JobList::next`] told.
    pub after: Option<String>,
    /// No more than so many.
    pub limit: usize,
}

/// A part of the list of jobs, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// What to ask for next, if there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many chunks of a job are where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkCounts {
    /// Planned so far.
    pub planned: u32,
    /// Whether that is all of them.
    pub sealed: bool,
    /// Ended, the failed ones too.
    pub done: u32,
    /// Handed out and not ended.
    pub handed_out: u32,
    /// Ended without being exported.
    pub failed: u32,
}

/// A job in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its id.
    pub job: JobId,
    /// Where it stands.
    pub state: JobState,
    /// When it was accepted.
    pub accepted_at: Instant,
    /// How long ago that is, in seconds.
    pub age_seconds: u64,
    /// When it ended or was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// The client that asked, if clients are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `system`, `patient` or `group`.
    pub level: String,
    /// The Group's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its chunks; absent of a job that ended before the index was made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<ChunkCounts>,
    /// What the planned chunks are expected to yield.
    pub expected: Tally,
    /// What ended chunks yielded.
    pub written: Tally,
    /// What chunks in work have written so far.
    pub in_flight: Tally,
}

/// More of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDetails {
    /// As in the list.
    #[serde(flatten)]
    pub job: JobView,
    /// The types that it exports.
    pub types: Vec<ResourceType>,
    /// Its `_since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// Its `_until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// How many patients it names, if it names any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patients: Option<usize>,
    /// The time whose state of the source it exports.
    pub transaction_time: Instant,
    /// Whether nothing of it is handed out, as an operator paused its tenant or everything.
    pub paused: bool,
    /// When its files go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// Why it failed as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Issue>,
    /// Why it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<TombstoneReason>,
}

/// Where a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChunkState {
    /// Planned, and not handed out.
    Waiting,
    /// Handed out, and not ended.
    HandedOut,
    /// Exported.
    Done,
    /// Ended without being exported.
    Failed,
}

/// One chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkView {
    /// Its id.
    pub chunk: ChunkId,
    /// Where it is.
    pub state: ChunkState,
    /// When it was handed out or, once it is begun, when its worker was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// Whether a worker has begun it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// The types that it reads.
    pub types: Vec<ResourceType>,
    /// What it does with them: `read`, `deleted`, `organize`, `survey`, `match`, `attach`.
    pub work: String,
    /// What it is expected to yield.
    pub expected: Tally,
    /// What it yielded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Tally>,
    /// Files with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
    /// The try that won; its files are in a folder of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Issue>,
}

/// The chunks of a page of a plan, or the rest of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPage {
    /// In plan order.
    pub chunks: Vec<ChunkView>,
    /// The chunk to ask for more after, if there is or will be more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ChunkId>,
}

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
        let Some(record) = self.journal.job(&found.job).await? else {
            return Ok(None);
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

/// A job in the index.
struct Found {
    job: JobRef,
    status: JobStatus,
}

impl Found {
    /// The newest first; of one moment, by name.
    fn order(&self) -> (i64, &str, JobId) {
        let nanos = self.status.accepted_at.nanos();
        (
            nanos.saturating_neg(),
            self.job.tenant.as_str(),
            self.job.job,
        )
    }

    fn cursor(&self) -> String {
        let (accepted, JobRef { tenant, job }) = (self.status.accepted_at.nanos(), &self.job);
        format!("{accepted}.{tenant}.{job}")
    }

    /// A cursor that cannot be read is before everything.
    fn is_in(&self, query: &JobsQuery) -> bool {
        let after = query.after.as_deref().and_then(place);
        let is_after = after.as_ref().is_none_or(|(accepted, tenant, job)| {
            self.order() > (accepted.saturating_neg(), tenant.as_str(), *job)
        });
        is_after
            && query
                .state
                .is_none_or(|wanted| wanted.admits(self.status.state))
    }
}

/// The place in the list that a cursor names.
fn place(cursor: &str) -> Option<(i64, TenantId, JobId)> {
    let mut parts = cursor.splitn(3, '.');
    let (accepted, tenant) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((accepted, tenant, parts.next()?.parse().ok()?))
}

impl JobsQuery {
    /// Whether there is a place in the list where it begins.
    pub fn is_readable(&self) -> bool {
        self.after
            .as_deref()
            .is_none_or(|after| place(after).is_some())
    }
}

/// Puts them in order, and leaves one more than so many.
fn keep_first(found: &mut Vec<Found>, limit: usize) {
    found.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
    found.truncate(limit.saturating_add(1));
}

fn chunk(
    id: ChunkId,
    planned: &PlannedChunk,
    (receipt, out): (Option<&Receipt>, Option<&HandedOut>),
) -> ChunkView {
    let state = match (receipt, out) {
        (Some(receipt), _) if receipt.failure.is_some() => ChunkState::Failed,
        (Some(_), _) => ChunkState::Done,
        (None, Some(_)) => ChunkState::HandedOut,
        (None, None) => ChunkState::Waiting,
    };
    let out = out.filter(|_| receipt.is_none());
    let won = receipt.filter(|receipt| receipt.failure.is_none());
    ChunkView {
        chunk: id,
        state,
        since: out.map(|out| out.heard),
        begun: out.is_some_and(|out| out.begun),
        types: planned.slice.types.clone(),
        work: work(planned).to_owned(),
        expected: planned.expected,
        written: won.map(Receipt::tally),
        files: won.map(|receipt| receipt.files.len() + receipt.deleted.len()),
        attempt: won.map(|receipt| receipt.attempt),
        failure: receipt.and_then(|receipt| receipt.failure.clone()),
    }
}

fn work(planned: &PlannedChunk) -> &'static str {
    match planned.work {
        Work::Read if planned.slice.deleted => "deleted",
        Work::Read => "read",
        Work::Organize => "organize",
        Work::Survey { .. } => "survey",
        Work::Match { .. } => "match",
        Work::Attach { .. } => "attach",
    }
}
