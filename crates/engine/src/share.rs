//! How much of the dispatch window each live job may have: by its tenant's weight, and what one
//! job cannot use goes to the others. So a huge job does not starve a small one, and a lone one
//! has all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_model::JobRef;
use sluice_ports::JobStatus;

/// What a job could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Demand {
    weight: u32,
    /// Chunks that are planned and not done.
    chunks: u32,
}

/// The live jobs as a coordinator last saw them. What another one has taken up since is missed
/// until the next sweep; then a job has more than its share for that long, which harms nobody.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<BTreeMap<JobRef, Demand>>>);

impl Shares {
    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobRef, Demand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is known of a job.
    pub(crate) fn see(&self, job: &JobRef, status: &JobStatus, weight: u32) {
        if !status.state.is_running() {
            return self.forget(job);
        }
        let demand = Demand {
            weight: weight.max(1),
            chunks: status.planned.chunks.saturating_sub(status.done),
        };
        self.jobs().insert(job.clone(), demand);
    }

    /// Notes that a job is live no more.
    pub(crate) fn forget(&self, job: &JobRef) {
        self.jobs().remove(job);
    }

    /// Forgets all but these.
    pub(crate) fn keep_only(&self, listed: &[JobRef]) {
        let listed: BTreeSet<&JobRef> = listed.iter().collect();
        self.jobs().retain(|job, _| listed.contains(job));
    }

    /// The share of a job in a window.
    pub(crate) fn of(&self, job: &JobRef, window: u32) -> u32 {
        let jobs = self.jobs();
        let demands: Vec<Demand> = jobs.values().copied().collect();
        let place = jobs.keys().position(|live| live == job);
        place.map_or(0, |place| share(&demands, place, window))
    }
}

/// Fills the modest demands first; what they leave is divided by weight among the others. At
/// least one chunk each, or a job would wait for ever.
fn share(demands: &[Demand], place: usize, window: u32) -> u32 {
    let mut left = u64::from(window);
    let mut open: Vec<usize> = (0..demands.len()).collect();
    loop {
        let weights: u64 = open.iter().map(|at| u64::from(demands[*at].weight)).sum();
        let fair = |at: usize| left * u64::from(demands[at].weight) / weights.max(1);
        let is_modest = |at: &usize| u64::from(demands[*at].chunks) <= fair(*at);
        let (modest, greedy): (Vec<usize>, Vec<usize>) = open.iter().partition(|at| is_modest(at));
        if modest.contains(&place) {
            return demands[place].chunks;
        }
        if modest.is_empty() {
            return u32::try_from(fair(place)).unwrap_or(u32::MAX).max(1);
        }
        let taken: u64 = modest.iter().map(|at| u64::from(demands[*at].chunks)).sum();
        left = left.saturating_sub(taken);
        open = greedy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(window: u32, demands: &[(u32, u32)]) -> Vec<u32> {
        let demands: Vec<Demand> = demands
            .iter()
            .map(|(weight, chunks)| Demand {
                weight: *weight,
                chunks: *chunks,
            })
            .collect();
        let all = 0..demands.len();
        all.map(|at| share(&demands, at, window)).collect()
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
    fn nobody_waits_for_ever() {
        let many = vec![(1, 10); 40];
        assert!(shares(16, &many).iter().all(|share| *share == 1));
    }

    #[test]
    fn the_window_is_kept_to_while_it_has_room_for_all() {
        for demands in [vec![(1, 9); 7], vec![(2, 100), (1, 1), (5, 40), (1, 7)]] {
            let sum: u32 = shares(64, &demands).iter().sum();
            assert!(sum <= 64, "{sum}");
        }
    }
}
