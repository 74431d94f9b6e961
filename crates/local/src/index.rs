//! The fast view of jobs in memory, rebuilt from the journal at every start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sluice_fhir::Instant;
use sluice_model::{JobRef, JobState, Tally};
use sluice_ports::{
    ChunkDone, Clock, HandedOut, Index, JobInside, JobStatus, Lease, Planned, PortError, Rate,
    Stale,
};

use crate::lock;

/// The fast view in memory.
pub struct MemoryIndex {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<JobRef, Entry>,
    leases: HashMap<String, Held>,
    epochs: u64,
    claims: HashMap<String, Claim>,
    uses: HashMap<String, Use>,
    marked: bool,
    budgets: HashMap<String, Instant>,
}

struct Entry {
    status: JobStatus,
    done: Vec<u64>,
    /// Every chunk below this is done.
    low: u32,
    outstanding: BTreeMap<u32, Outstanding>,
    failed: BTreeSet<u32>,
}

#[derive(Clone, Copy)]
struct Outstanding {
    seen: Instant,
    /// Nothing until somebody began it.
    tally: Option<Tally>,
}

struct Claim {
    job: JobRef,
    until: Instant,
}

struct Use {
    by: String,
    until: Instant,
}

struct Held {
    epoch: u64,
    until: Instant,
}

/// Budgets that are full again are dropped once there are this many.
const BUDGETS: usize = 10_000;
/// The same for names that were used.
const USES: usize = 10_000;

impl MemoryIndex {
    /// An empty view.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }
}

impl Entry {
    fn is_done(&self, chunk: u32) -> bool {
        let (word, bit) = place(chunk);
        self.done.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn mark(&mut self, chunk: u32) {
        let (word, bit) = place(chunk);
        if self.done.len() <= word {
            self.done.resize(word + 1, 0);
        }
        self.done[word] |= bit;
        while self.is_done(self.low) {
            self.low += 1;
        }
    }

    fn status(&self) -> JobStatus {
        let mut status = self.status.clone();
        for outstanding in self.outstanding.values() {
            status.in_flight += outstanding.tally.unwrap_or_default();
        }
        status.outstanding = u32::try_from(self.outstanding.len()).unwrap_or(u32::MAX);
        status
    }
}

fn place(chunk: u32) -> (usize, u64) {
    (
        usize::try_from(chunk / 64).unwrap_or(usize::MAX),
        1 << (chunk % 64),
    )
}

#[async_trait]
impl Index for MemoryIndex {
    async fn insert(&self, job: &JobRef, status: JobStatus) -> Result<bool, PortError> {
        let mut state = lock(&self.state);
        let new = !state.jobs.contains_key(job);
        if new {
            let entry = Entry {
                status,
                done: Vec::new(),
                low: 0,
                outstanding: BTreeMap::new(),
                failed: BTreeSet::new(),
            };
            state.jobs.insert(job.clone(), entry);
        }
        Ok(new)
    }

    async fn get(&self, job: &JobRef) -> Result<Option<JobStatus>, PortError> {
        Ok(lock(&self.state).jobs.get(job).map(Entry::status))
    }

    async fn jobs(&self) -> Result<Vec<JobRef>, PortError> {
        Ok(lock(&self.state).jobs.keys().cloned().collect())
    }

    async fn planned(&self, job: &JobRef, planned: Planned) -> Result<(), PortError> {
        let mut state = lock(&self.state);
        let Some(entry) = state.jobs.get_mut(job) else {
            return Ok(());
        };
        let known = &mut entry.status.planned;
        if planned.chunks > known.chunks || (planned.sealed && !known.sealed) {
            *known = Planned {
                sealed: planned.sealed || known.sealed,
                ..planned
            };
        }
        if known.sealed && entry.status.state == JobState::Accepted {
            entry.status.state = JobState::Exporting;
        }
        Ok(())
    }

    async fn take_window(
        &self,
        job: &JobRef,
        width: u32,
        after: Stale,
    ) -> Result<Vec<u32>, PortError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let Some(entry) = state.jobs.get_mut(job) else {
            return Ok(Vec::new());
        };
        if !entry.status.state.is_running() {
            return Ok(Vec::new());
        }
        entry.outstanding.retain(|_, outstanding| {
            let limit = match outstanding.tally {
                Some(_) => after.silent,
                None => after.unbegun,
            };
            now.since(outstanding.seen) < limit
        });
        let room = usize::try_from(width)
            .unwrap_or(usize::MAX)
            .saturating_sub(entry.outstanding.len());
        let open = (entry.low..entry.status.planned.chunks)
            .filter(|chunk| !entry.is_done(*chunk) && !entry.outstanding.contains_key(chunk));
        let taken: Vec<u32> = open.take(room).collect();
        let fresh = Outstanding {
            seen: now,
            tally: None,
        };
        entry
            .outstanding
            .extend(taken.iter().map(|chunk| (*chunk, fresh)));
        Ok(taken)
    }

    async fn chunk_done(
        &self,
        job: &JobRef,
        chunk: u32,
        tally: Tally,
    ) -> Result<ChunkDone, PortError> {
        let mut state = lock(&self.state);
        let Some(entry) = state.jobs.get_mut(job) else {
            return Ok(ChunkDone {
                first: false,
                settled: false,
            });
        };
        entry.outstanding.remove(&chunk);
        let first = !entry.is_done(chunk);
        if first {
            entry.mark(chunk);
            entry.status.done += 1;
            entry.status.tally += tally;
        }
        Ok(ChunkDone {
            first,
            settled: entry.status.is_settled(),
        })
    }

    async fn chunk_failed(&self, job: &JobRef, chunk: u32) -> Result<(), PortError> {
        if let Some(entry) = lock(&self.state).jobs.get_mut(job) {
            entry.failed.insert(chunk);
        }
        Ok(())
    }

    async fn inside(&self, job: &JobRef) -> Result<JobInside, PortError> {
        let state = lock(&self.state);
        let Some(entry) = state.jobs.get(job) else {
            return Ok(JobInside::default());
        };
        let handed_out = entry.outstanding.iter().map(|(chunk, out)| HandedOut {
            chunk: *chunk,
            heard: out.seen,
            begun: out.tally.is_some(),
        });
        Ok(JobInside {
            handed_out: handed_out.collect(),
            failed: u32::try_from(entry.failed.len()).unwrap_or(u32::MAX),
        })
    }

    async fn chunk_progress(
        &self,
        job: &JobRef,
        chunk: u32,
        tally: Tally,
    ) -> Result<(), PortError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if let Some(entry) = state
            .jobs
            .get_mut(job)
            .filter(|entry| !entry.is_done(chunk))
        {
            let begun = Outstanding {
                seen: now,
                tally: Some(tally),
            };
            entry.outstanding.insert(chunk, begun);
        }
        Ok(())
    }

    async fn end(&self, job: &JobRef, to: JobState, at: Instant) -> Result<bool, PortError> {
        let mut state = lock(&self.state);
        let Some(entry) = state.jobs.get_mut(job) else {
            return Ok(false);
        };
        let Ok(next) = entry.status.state.step(to) else {
            return Ok(false);
        };
        entry.status.state = next;
        entry.status.ended_at = Some(at);
        entry.outstanding.clear();
        Ok(true)
    }

    async fn remove(&self, job: &JobRef) -> Result<(), PortError> {
        lock(&self.state).jobs.remove(job);
        Ok(())
    }

    async fn lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, PortError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.leases.retain(|_, held| held.until > now);
        if state.leases.contains_key(name) {
            return Ok(None);
        }
        state.epochs += 1;
        let epoch = state.epochs;
        state.leases.insert(
            name.to_owned(),
            Held {
                epoch,
                until: now.plus(ttl),
            },
        );
        Ok(Some(Lease {
            name: name.to_owned(),
            epoch,
        }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, PortError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let held = state.leases.get_mut(&lease.name);
        let Some(held) = held.filter(|held| held.epoch == lease.epoch && held.until > now) else {
            return Ok(false);
        };
        held.until = now.plus(ttl);
        Ok(true)
    }

    async fn release(&self, lease: &Lease) -> Result<(), PortError> {
        let mut state = lock(&self.state);
        if state
            .leases
            .get(&lease.name)
            .is_some_and(|held| held.epoch == lease.epoch)
        {
            state.leases.remove(&lease.name);
        }
        Ok(())
    }

    async fn claim(
        &self,
        name: &str,
        job: &JobRef,
        ttl: Duration,
    ) -> Result<Option<JobRef>, PortError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.claims.retain(|_, claim| claim.until > now);
        if let Some(claim) = state.claims.get(name)
            && claim.job != *job
        {
            return Ok(Some(claim.job.clone()));
        }
        let claim = Claim {
            job: job.clone(),
            until: now.plus(ttl),
        };
        state.claims.insert(name.to_owned(), claim);
        Ok(None)
    }

    async fn unclaim(&self, name: &str, job: &JobRef) -> Result<(), PortError> {
        let mut state = lock(&self.state);
        if state
            .claims
            .get(name)
            .is_some_and(|claim| claim.job == *job)
        {
            state.claims.remove(name);
        }
        Ok(())
    }

    async fn first_use(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, PortError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if state.uses.len() > USES {
            state.uses.retain(|_, used| used.until > now);
        }
        if let Some(used) = state.uses.get(name).filter(|used| used.until > now) {
            return Ok(used.by == by);
        }
        let used = Use {
            by: by.to_owned(),
            until: now.plus(ttl),
        };
        state.uses.insert(name.to_owned(), used);
        Ok(true)
    }

    async fn is_marked(&self) -> Result<bool, PortError> {
        Ok(lock(&self.state).marked)
    }

    async fn mark(&self) -> Result<(), PortError> {
        lock(&self.state).marked = true;
        Ok(())
    }

    /// The generic cell rate algorithm: one time per budget says everything.
    async fn spend(&self, budget: &str, rate: Rate) -> Result<Option<Duration>, PortError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if state.budgets.len() > BUDGETS {
            state.budgets.retain(|_, full_at| *full_at > now);
        }
        let full_at = state.budgets.get(budget).copied().unwrap_or(now).max(now);
        // A debt made when each cost more is worth no more than all of today's budget.
        let full_at = full_at.min(now.plus(rate.every.saturating_mul(rate.burst)));
        let slack = rate.every.saturating_mul(rate.burst.saturating_sub(1));
        let debt = full_at.since(now);
        if debt > slack {
            return Ok(Some(debt.saturating_sub(slack)));
        }
        state
            .budgets
            .insert(budget.to_owned(), full_at.plus(rate.every));
        Ok(None)
    }
}
