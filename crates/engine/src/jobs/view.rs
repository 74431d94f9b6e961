//! What is shown of jobs and chunks, and how it is asked for.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Instant, Issue, ResourceType};
use sluice_model::{
    AttemptId, ChunkId, JobId, JobState, PlannedChunk, Receipt, Tally, TenantId, TombstoneReason,
    Work,
};
use sluice_ports::HandedOut;

/// Which jobs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// Those that are accepted or exporting.
    Running,
    /// Those in one state.
    Only(JobState),
}

impl StateFilter {
    pub(super) fn admits(self, state: JobState) -> bool {
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

/// One chunk, as its plan, its receipt and the index have it.
pub(super) fn chunk(
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
