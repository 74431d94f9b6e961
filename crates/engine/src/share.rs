//! How much of the dispatch window each live job may have: by its tenant's weight, and what one
//! job cannot use goes to the others. So a huge job does not starve a small one, and a lone one
//! has all of it. What is handed out stays within the window: when jobs want more than there is
//! room for, they take turns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_fhir::Instant;
use sluice_model::{JobRef, JobState};
use sluice_ports::JobStatus;

use crate::metrics::LiveJobs;

/// A live job.
#[derive(Clone, Copy, Debug)]
struct Live {
    weight: u32,
    state: JobState,
    accepted_at: Instant,
    /// Chunks that are planned and not done.
    open: u32,
    /// Those of them that are handed out.
    outstanding: u32,
    done: u32,
    /// When it last had its turn; 0 for one that had none.
    turn: u64,
}

impl Live {
    /// As the index tells of it, without a turn yet.
    fn of(status: &JobStatus, weight: u32) -> Self {
        Self {
            weight: weight.max(1),
            state: status.state,
            accepted_at: status.accepted_at,
            open: status.planned.chunks.saturating_sub(status.done),
            outstanding: status.outstanding,
            done: status.done,
            turn: 0,
        }
    }
}

/// The live jobs as a coordinator last saw them. What another one has taken up since is missed
/// until this one looks at that job again; until then more may be handed out, which harms nobody.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    jobs: BTreeMap<JobRef, Live>,
    turns: u64,
}

impl Shares {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is known of a job; says whether that made room for others.
    pub(crate) fn see(&self, job: &JobRef, status: &JobStatus, weight: u32) -> bool {
        if !status.state.is_running() {
            return self.forget(job);
        }
        let mut book = self.book();
        let known = book.jobs.get(job).copied();
        let turn = known.map_or(0, |known| known.turn);
        let seen = Live {
            turn,
            ..Live::of(status, weight)
        };
        book.jobs.insert(job.clone(), seen);
        known.is_some_and(|known| known.done < status.done)
    }

    /// Notes that a job is live no more; says whether it was.
    pub(crate) fn forget(&self, job: &JobRef) -> bool {
        self.book().jobs.remove(job).is_some()
    }

    /// Forgets all but these.
    pub(crate) fn keep_only(&self, listed: &[JobRef]) {
        let listed: std::collections::BTreeSet<&JobRef> = listed.iter().collect();
        self.book().jobs.retain(|job, _| listed.contains(job));
    }

    /// How many chunks of a job may be outstanding now, those that are already counted in.
    pub(crate) fn of(&self, job: &JobRef, window: u32) -> u32 {
        let book = self.book();
        let Some(place) = book.jobs.keys().position(|live| live == job) else {
            return 0;
        };
        let lives: Vec<Live> = book.jobs.values().copied().collect();
        lives[place].outstanding + grants(&lives, window)[place]
    }

    /// Notes that a job had its turn and took so many chunks.
    pub(crate) fn took(&self, job: &JobRef, chunks: u32) {
        let mut book = self.book();
        book.turns += 1;
        let turn = book.turns;
        if let Some(live) = book.jobs.get_mut(job) {
            live.outstanding += chunks;
            live.turn = turn;
        }
    }

    /// The job whose turn it is, other than this one, if there is room for a chunk of it.
    pub(crate) fn next_but(&self, job: &JobRef, window: u32) -> Option<JobRef> {
        let book = self.book();
        let lives: Vec<Live> = book.jobs.values().copied().collect();
        let grants = grants(&lives, window);
        let others = book.jobs.iter().zip(grants);
        let entitled = others.filter(|((other, _), grant)| *grant > 0 && *other != job);
        let first = entitled.min_by_key(|((_, live), _)| live.turn);
        first.map(|((other, _), _)| other.clone())
    }

    /// All of it, for gauges.
    pub(crate) fn live_jobs(&self, window: u32) -> LiveJobs {
        let mut shown = LiveJobs {
            window,
            ..LiveJobs::default()
        };
        for (job, live) in &self.book().jobs {
            match live.state {
                JobState::Accepted => shown.accepted += 1,
                _ => shown.exporting += 1,
            }
            let oldest = shown.oldest.unwrap_or(live.accepted_at);
            shown.oldest = Some(oldest.min(live.accepted_at));
            let work = shown.work.entry(job.tenant.clone()).or_default();
            work.outstanding += u64::from(live.outstanding);
            work.backlog += u64::from(live.open.saturating_sub(live.outstanding));
        }
        shown
    }
}

/// How many more chunks each job may hand out. What is free of the window goes round one by one,
/// first to those whose last turn is longest ago, until each has its share or nothing is left.
fn grants(lives: &[Live], window: u32) -> Vec<u32> {
    let outstanding: u32 = lives.iter().map(|live| live.outstanding).sum();
    let mut free = window.saturating_sub(outstanding);
    let mut grants = vec![0; lives.len()];
    if free == 0 {
        return grants;
    }
    let shares = shares(lives, window).into_iter().enumerate();
    let mut wanting: Vec<(usize, u32)> = shares
        .map(|(at, share)| (at, share.saturating_sub(lives[at].outstanding)))
        .filter(|(_, lacks)| *lacks > 0)
        .collect();
    wanting.sort_by_key(|(at, _)| lives[*at].turn);
    while free > 0 && !wanting.is_empty() {
        wanting.retain_mut(|(at, lacks)| {
            if free > 0 {
                grants[*at] += 1;
                *lacks -= 1;
                free -= 1;
            }
            *lacks > 0
        });
    }
    grants
}

/// Fills the modest demands first; what they leave is divided by weight among the others. At
/// least one chunk each, so that everyone has a turn.
fn shares(lives: &[Live], window: u32) -> Vec<u32> {
    let mut shares = vec![0; lives.len()];
    let mut left = u64::from(window);
    let mut open: Vec<usize> = (0..lives.len()).collect();
    while !open.is_empty() {
        let weights: u64 = open.iter().map(|at| u64::from(lives[*at].weight)).sum();
        let fair = |at: usize| left * u64::from(lives[at].weight) / weights.max(1);
        let is_modest = |at: &usize| u64::from(lives[*at].open) <= fair(*at);
        let (modest, greedy): (Vec<usize>, Vec<usize>) = open.iter().partition(|at| is_modest(at));
        if modest.is_empty() {
            for at in greedy {
                shares[at] = u32::try_from(fair(at)).unwrap_or(u32::MAX).max(1);
            }
            break;
        }
        let mut taken = 0;
        for at in modest {
            shares[at] = lives[at].open;
            taken += u64::from(lives[at].open);
        }
        left = left.saturating_sub(taken);
        open = greedy;
    }
    shares
}

#[cfg(test)]
mod tests {
    use sluice_model::{JobId, Tally};
    use sluice_ports::Planned;

    use super::*;

    fn live(weight: u32, open: u32) -> Live {
        let planned = Planned {
            chunks: open,
            expected: Tally::default(),
            sealed: true,
        };
        let status = JobStatus {
            planned,
            ..JobStatus::accepted(Instant::from_millis(0))
        };
        Live::of(&status, weight)
    }

    fn shares(window: u32, demands: &[(u32, u32)]) -> Vec<u32> {
        let lives: Vec<Live> = demands.iter().map(|(w, open)| live(*w, *open)).collect();
        super::shares(&lives, window)
    }

    #[test]
    fn a_lone_job_has_all_of_the_window() {
        assert_eq!(shares(16, &[(1, 5000)]), [16]);
        assert_eq!(shares(16, &[(1, 3)]), [3]);
        assert_eq!(shares(16, &[(1, 0)]), [0]);
    }

    #[test]
    fn small_jobs_get_what_they_want_and_large_ones_the_rest() {
        assert_eq!(shares(16, &[(1, 5000), (1, 2), (1, 3)]), [11, 2, 3]);
        assert_eq!(shares(16, &[(1, 5000), (1, 5000)]), [8, 8]);
        assert_eq!(shares(16, &[(3, 5000), (1, 5000)]), [12, 4]);
    }

    #[test]
    fn the_window_is_kept_to_however_many_jobs_there_are() {
        for demands in [
            vec![(1, 9); 7],
            vec![(2, 100), (1, 1), (5, 40), (1, 7)],
            vec![(1, 10); 90],
        ] {
            let lives: Vec<Live> = demands.iter().map(|(w, open)| live(*w, *open)).collect();
            assert_eq!(
                grants(&lives, 64).iter().sum::<u32>(),
                64.min(sum(&demands))
            );
        }
    }

    fn sum(demands: &[(u32, u32)]) -> u32 {
        demands.iter().map(|(_, open)| open).sum()
    }

    /// A coordinator with so many jobs of so many chunks each.
    fn book(sizes: &[u32]) -> (Shares, Vec<JobRef>, Vec<JobStatus>) {
        let shares = Shares::default();
        let (mut jobs, mut statuses) = (Vec::new(), Vec::new());
        for (number, size) in sizes.iter().enumerate() {
            let id = u8::try_from(number).unwrap();
            let job = JobRef {
                tenant: "north".parse().unwrap(),
                job: JobId::from_bytes([id; 16]),
            };
            let mut status = JobStatus::accepted(Instant::from_millis(0));
            status.planned.chunks = *size;
            jobs.push(job);
            statuses.push(status);
        }
        (shares, jobs, statuses)
    }

    /// Dispatches one job as `Advance` does, and says whose turn is next.
    fn dispatch(
        shares: &Shares,
        job: &JobRef,
        status: &mut JobStatus,
        window: u32,
    ) -> Option<JobRef> {
        let freed = shares.see(job, status, 1);
        let room = shares.of(job, window).saturating_sub(status.outstanding);
        let open = status.planned.chunks - status.done - status.outstanding;
        let taken = room.min(open);
        status.outstanding += taken;
        shares.took(job, taken);
        (freed || taken > 0)
            .then(|| shares.next_but(job, window))
            .flatten()
    }

    /// One huge job has all of the window when twenty small ones come; workers finish a chunk at a
    /// time. The window is never left, and every small job is done long before the huge one.
    #[test]
    fn jobs_take_turns_within_the_window() {
        let window = 8;
        let mut sizes = vec![3; 21];
        sizes[0] = 1_000;
        let (shares, jobs, mut statuses) = book(&sizes);
        dispatch(&shares, &jobs[0], &mut statuses[0], window);
        assert_eq!(statuses[0].outstanding, window);
        for at in 1..jobs.len() {
            dispatch(&shares, &jobs[at], &mut statuses[at], window);
            assert_eq!(statuses[at].outstanding, 0, "the window is full");
        }
        let (mut ended, mut steps) = (Vec::new(), 0);
        while statuses
            .iter()
            .any(|status| status.done < status.planned.chunks)
        {
            // The worker takes whatever lies longest; here, whichever comes first in a round.
            steps += 1;
            let busy = (0..jobs.len()).map(|at| (at + steps) % jobs.len());
            let at = busy
                .clone()
                .find(|at| statuses[*at].outstanding > 0)
                .unwrap();
            statuses[at].outstanding -= 1;
            statuses[at].done += 1;
            let mut next = Some(jobs[at].clone());
            while let Some(job) = next {
                let at = jobs.iter().position(|one| *one == job).unwrap();
                next = dispatch(&shares, &job, &mut statuses[at], window);
                let outstanding: u32 = statuses.iter().map(|status| status.outstanding).sum();
                assert!(outstanding <= window, "{outstanding}");
            }
            if statuses[at].done == statuses[at].planned.chunks {
                statuses[at].state = JobState::Complete;
                shares.see(&jobs[at], &statuses[at], 1);
                ended.push(at);
            }
        }
        assert_eq!(*ended.last().unwrap(), 0, "{ended:?}");
        assert_eq!(ended.len(), jobs.len());
    }

    #[test]
    fn what_is_live_is_told_by_tenant() {
        let (shares, jobs, mut statuses) = book(&[10, 4]);
        statuses[0].outstanding = 3;
        statuses[0].state = JobState::Exporting;
        for at in 0..2 {
            shares.see(&jobs[at], &statuses[at], 1);
        }
        let shown = shares.live_jobs(16);
        assert_eq!((shown.accepted, shown.exporting, shown.window), (1, 1, 16));
        let work = shown.work.values().next().unwrap();
        assert_eq!((work.outstanding, work.backlog), (3, 11));
    }
}
