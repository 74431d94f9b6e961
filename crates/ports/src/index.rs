//! The fast view of jobs: status, progress, leases, the dispatch window, budgets.
//!
//! Nothing here is the truth: losing all of it costs the seconds it takes to rebuild it from the
//! journal (design rule 1). All calls on one job are atomic.

use std::time::Duration;

use async_trait::async_trait;
use sluice_fhir::Instant;
use sluice_model::{JobRef, JobState, Tally};

use crate::PortError;

/// How far a job's plan has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Chunks planned so far.
    pub chunks: u32,
    /// What they are expected to yield.
    pub expected: Tally,
    /// Whether that is all of them.
    pub sealed: bool,
}

/// What the index knows of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    /// Where it stands.
    pub state: JobState,
    /// When it was accepted.
    pub accepted_at: Instant,
    /// When it ended or was withdrawn.
    pub ended_at: Option<Instant>,
    /// Its plan.
    pub planned: Planned,
    /// Chunks whose receipt is known.
    pub done: u32,
    /// What those chunks yielded.
    pub tally: Tally,
    /// What unfinished chunks have written so far; a remark, not a promise.
    pub in_flight: Tally,
    /// Chunks handed out and not done.
    pub outstanding: u32,
}

impl JobStatus {
    /// A job just accepted.
    pub fn accepted(at: Instant) -> Self {
        Self {
            state: JobState::Accepted,
            accepted_at: at,
            ended_at: None,
            planned: Planned::default(),
            done: 0,
            tally: Tally::default(),
            in_flight: Tally::default(),
            outstanding: 0,
        }
    }

    /// Whether every chunk of a sealed plan is done: the job may be finished.
    pub fn is_settled(&self) -> bool {
        self.planned.sealed && self.done >= self.planned.chunks
    }
}

/// What marking a chunk done changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkDone {
    /// False when it had been marked before.
    pub first: bool,
    /// Whether the job is now settled. A hint only: the sweep finds it too.
    pub settled: bool,
}

/// When a chunk that was handed out is handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// One that somebody began, after this long without a sign of life.
    pub silent: Duration,
    /// One that nobody began, after this long: its hint may wait in the queue, or be lost.
    pub unbegun: Duration,
}

impl From<Duration> for Stale {
    /// As long for both.
    fn from(time: Duration) -> Self {
        Self {
            silent: time,
            unbegun: time,
        }
    }
}

/// A chunk that is handed out and not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOut {
    /// Its number in the plan.
    pub chunk: u32,
    /// When it was handed out or, once it was begun, last heard of.
    pub heard: Instant,
    /// Whether somebody began it.
    pub begun: bool,
}

/// What is inside a job, for people who look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobInside {
    /// Chunks handed out and not done, by their numbers; no more than the dispatch window.
    pub handed_out: Vec<HandedOut>,
    /// Chunks that ended without being exported.
    pub failed: u32,
}

/// A held lease. Leases save work; nothing is wrong when two hold one (design rule 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Grows with every holder.
    pub epoch: u64,
}

/// A budget: `burst` at once, then one more each `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// The time that earns one more.
    pub every: Duration,
}

/// Keeps the fast view.
#[async_trait]
pub trait Index: Send + Sync {
    /// Adds a job as `status` unless it is known; says whether it was new. Rebuilding uses it too.
    async fn insert(&self, job: &JobRef, status: JobStatus) -> Result<bool, PortError>;
    /// Looks a job up.
    async fn get(&self, job: &JobRef) -> Result<Option<JobStatus>, PortError>;
    /// Every job known, ended ones too.
    async fn jobs(&self) -> Result<Vec<JobRef>, PortError>;
    /// Records planning progress; never goes back. Sealing moves Accepted to Exporting. A job
    /// that is not known is ignored.
    async fn planned(&self, job: &JobRef, planned: Planned) -> Result<(), PortError>;
    /// Takes up to `width` chunks less those outstanding: the lowest that are planned, not done
    /// and not outstanding; one that is [`Stale`] is outstanding no more. Marks them outstanding.
    async fn take_window(
        &self,
        job: &JobRef,
        width: u32,
        stale: Stale,
    ) -> Result<Vec<u32>, PortError>;
    /// Marks a chunk done, once: repeats change nothing.
    async fn chunk_done(
        &self,
        job: &JobRef,
        chunk: u32,
        tally: Tally,
    ) -> Result<ChunkDone, PortError>;
    /// Notes that a chunk ended, or is about to end, without being exported; once, as repeats change
    /// nothing.
    async fn chunk_failed(&self, job: &JobRef, chunk: u32) -> Result<(), PortError>;
    /// Looks into a job; one that is not known has nothing inside.
    async fn inside(&self, job: &JobRef) -> Result<JobInside, PortError>;
    /// Notes how far an unfinished chunk is, and that it is still being worked on.
    async fn chunk_progress(&self, job: &JobRef, chunk: u32, tally: Tally)
    -> Result<(), PortError>;
    /// Moves a job to an ended state if its life cycle allows; says whether it did.
    async fn end(&self, job: &JobRef, state: JobState, at: Instant) -> Result<bool, PortError>;
    /// Forgets a job.
    async fn remove(&self, job: &JobRef) -> Result<(), PortError>;
    /// Takes a lease for `ttl`, or hears that another holds it.
    async fn lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, PortError>;
    /// Holds a lease for another `ttl` from now; false when it has passed to another or run out.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, PortError>;
    /// Gives a lease back; one that has passed to another is left alone.
    async fn release(&self, lease: &Lease) -> Result<(), PortError>;
    /// Takes a name for a job until `ttl` has passed, unless another job has it; says who has it
    /// then. Taking what one has already keeps it until `ttl` from now.
    async fn claim(
        &self,
        name: &str,
        job: &JobRef,
        ttl: Duration,
    ) -> Result<Option<JobRef>, PortError>;
    /// Gives a name back; one that another job has is left alone.
    async fn unclaim(&self, name: &str, job: &JobRef) -> Result<(), PortError>;
    /// Whether a name is used for the first time within `ttl` of its first use; of any number who ask
    /// at once, one hears yes. `by` tells askers apart, so that asking again after a lost answer hears
    /// the same. Fails rather than guesses.
    async fn first_use(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, PortError>;
    /// Whether [`Index::mark`] was called since the index last lost what it holds.
    async fn is_marked(&self) -> Result<bool, PortError>;
    /// Notes that the index holds every job of the journal.
    async fn mark(&self) -> Result<(), PortError>;
    /// Spends one of a budget; `Some` says how long to wait first.
    async fn spend(&self, budget: &str, rate: Rate) -> Result<Option<Duration>, PortError>;
}
