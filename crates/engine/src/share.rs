//! How much of the dispatch window each live job may have: by its tenant's weight, and what one
//! job cannot use goes to the others. So a huge job does not starve a small one, and a lone one
//! has all of it. What is handed out stays within the window: when jobs want more than there is
//! room for, they take turns.

use std::collections::{BTreeMap, BTreeSet};
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
    /// When it last had its turn, or came; lower is longer ago.
    turn: u64,
    /// When the index was last asked for it.
    seen_at: Instant,
    /// When something was last seen to have been planned or done.
    moved_at: Instant,
    /// It could not be looked at, or is paused, and has no share until that is over.
    aside: bool,
}

impl Live {
    /// As the index tells of it.
    fn of(status: &JobStatus, weight: u32, (turn, seen_at): (u64, Instant)) -> Self {
        Self {
            weight: weight.max(1),
            state: status.state,
            accepted_at: status.accepted_at,
            open: status.planned.chunks.saturating_sub(status.done),
            outstanding: status.outstanding,
            done: status.done,
            turn,
            seen_at,
            moved_at: seen_at,
            aside: false,
        }
    }

    /// Whether something has been planned or done since. That a chunk is handed out again is no progress.
    fn moved_since(&self, before: &Self) -> bool {
        (self.state, self.open, self.done) != (before.state, before.open, before.done)
    }
}

/// The live jobs as a coordinator last saw them. What another one has handed out or finished since
/// is missed until this one looks at that job again: see [`Shares::suspects`].
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

    /// Notes what is known of a job now; says whether that made room for others.
    pub(crate) fn see(&self, job: &JobRef, status: &JobStatus, weight: u32, now: Instant) -> bool {
        if !status.state.is_running() {
            return self.forget(job);
        }
        let mut book = self.book();
        book.turns += 1;
        let known = book.jobs.get(job).copied();
        let turn = known.map_or(book.turns, |known| known.turn);
        let mut seen = Live::of(status, weight, (turn, now));
        if let Some(known) = known {
            seen.aside = known.aside;
            if !seen.moved_since(&known) {
                seen.moved_at = known.moved_at;
            }
        }
        book.jobs.insert(job.clone(), seen);
        known.is_some_and(|known| known.done < status.done)
    }

    /// Notes that a job could not be looked at, or is paused: its turn is over, and others have its share.
    /// Says whether it had one.
    pub(crate) fn set_aside(&self, job: &JobRef) -> bool {
        let mut book = self.book();
        book.turns += 1;
        let turn = book.turns;
        book.jobs.get_mut(job).is_some_and(|live| {
            live.turn = turn;
            !std::mem::replace(&mut live.aside, true)
        })
    }

    /// The jobs that are said to have chunks handed out and whose last sight is doubted, each with
    /// its weight; nothing if there is room for this job, or no need of it. Another coordinator may
    /// have finished them, and what they seem to hold is then room for this one.
    pub(crate) fn suspects(
        &self,
        job: &JobRef,
        window: u32,
        doubted: impl Fn(Instant) -> bool,
    ) -> Vec<(JobRef, u32)> {
        let width = self.of(job, window);
        let book = self.book();
        let is_short = |live: &Live| live.open > live.outstanding && width <= live.outstanding;
        if !book.jobs.get(job).is_some_and(is_short) {
            return Vec::new();
        }
        let others = book
            .jobs
            .iter()
            .filter(|(other, live)| *other != job && live.outstanding > 0 && doubted(live.seen_at));
        others
            .map(|(other, live)| (other.clone(), live.weight))
            .collect()
    }

    /// Notes that a job is live no more; says whether it was.
    pub(crate) fn forget(&self, job: &JobRef) -> bool {
        self.book().jobs.remove(job).is_some()
    }

    /// Forgets all but these.
    pub(crate) fn keep_only(&self, listed: &[JobRef]) {
        let listed: BTreeSet<&JobRef> = listed.iter().collect();
        self.book().jobs.retain(|job, _| listed.contains(job));
    }

    /// How many chunks of a job may be outstanding now, those that are already counted in. While others want room, what
    /// fell silent is handed out again up to the job's share only: chunks that nobody can do now, such as those of a
    /// source that is away, would keep all of the window for as long.
    pub(crate) fn of(&self, job: &JobRef, window: u32) -> u32 {
        let mut book = self.book();
        if let Some(live) = book.jobs.get_mut(job) {
            live.aside = false;
        }
        let Some(place) = book.jobs.keys().position(|live| live == job) else {
            return 0;
        };
        let lives: Vec<Live> = book.jobs.values().copied().collect();
        let outstanding = lives[place].outstanding;
        match grants(&lives, window)[place] {
            0 => outstanding.min(shares(&lives, window)[place]),
            more => outstanding + more,
        }
    }

    /// Notes that a job that might have had `width` chunks outstanding took so many. That was its
    /// turn, unless there was nothing for it.
    pub(crate) fn took(&self, job: &JobRef, width: u32, chunks: u32) {
        let mut book = self.book();
        book.turns += 1;
        let turn = book.turns;
        if let Some(live) = book.jobs.get_mut(job) {
            if width > live.outstanding || chunks > 0 {
                live.turn = turn;
            }
            if width == 0 && live.open > 0 {
                // Others have all of the window: waiting for one's turn is no standstill.
                live.moved_at = live.seen_at;
            }
            if chunks > 0 {
                // No more than the width, as some may have been outstanding before and fallen silent.
                live.outstanding = live.outstanding.saturating_add(chunks).min(width);
            }
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
            let work = shown.work.entry(job.tenant.clone()).or_default();
            work.oldest = Some(earlier(work.oldest, live.accepted_at));
            work.still_since = Some(earlier(work.still_since, live.moved_at));
            work.outstanding += u64::from(live.outstanding);
            work.backlog += u64::from(live.open.saturating_sub(live.outstanding));
        }
        shown
    }
}

fn earlier(known: Option<Instant>, other: Instant) -> Instant {
    known.map_or(other, |known| known.min(other))
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
    let mut open: Vec<usize> = (0..lives.len()).filter(|at| !lives[*at].aside).collect();
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

    const NOW: Instant = Instant::from_millis(0);

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
        Live::of(&status, weight, (0, NOW))
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
        let freed = shares.see(job, status, 1, NOW);
        let width = shares.of(job, window);
        let room = width.saturating_sub(status.outstanding);
        let open = status.planned.chunks - status.done - status.outstanding;
        let taken = room.min(open);
        status.outstanding += taken;
        shares.took(job, width, taken);
        (freed || taken > 0)
            .then(|| shares.next_but(job, window))
            .flatten()
    }

    /// Coordinator and workers, a step at a time.
    struct Play {
        window: u32,
        shares: Shares,
        jobs: Vec<JobRef>,
        statuses: Vec<JobStatus>,
        ended: Vec<usize>,
    }

    impl Play {
        fn new(window: u32, sizes: &[u32]) -> Self {
            let (shares, jobs, statuses) = book(sizes);
            Self {
                window,
                shares,
                jobs,
                statuses,
                ended: Vec::new(),
            }
        }

        /// A hint about a job, and those that follow from it.
        fn hint(&mut self, at: usize) {
            let mut next = Some(self.jobs[at].clone());
            while let Some(job) = next {
                let at = self.jobs.iter().position(|one| *one == job).unwrap();
                next = dispatch(&self.shares, &job, &mut self.statuses[at], self.window);
                let outstanding: u32 = self.statuses.iter().map(|one| one.outstanding).sum();
                assert!(outstanding <= self.window, "{outstanding}");
            }
        }

        fn sweep(&mut self) {
            for at in 0..self.jobs.len() {
                if self.statuses[at].state.is_running() {
                    self.hint(at);
                }
            }
        }

        /// A worker finishes a chunk of this job.
        fn finish(&mut self, at: usize) {
            self.statuses[at].outstanding -= 1;
            self.statuses[at].done += 1;
            self.hint(at);
            if self.statuses[at].done == self.statuses[at].planned.chunks {
                self.statuses[at].state = JobState::Complete;
                self.shares.see(&self.jobs[at], &self.statuses[at], 1, NOW);
                self.ended.push(at);
            }
        }

        /// The chunk that has been out longest is finished; here, the next in a round.
        fn step(&mut self, number: usize) {
            let all = self.jobs.len();
            let mut round = (0..all).map(|at| (at + number) % all);
            if let Some(at) = round.find(|at| self.statuses[*at].outstanding > 0) {
                self.finish(at);
            }
        }
    }

    /// One huge job has all of the window when twenty small ones come. The window is never left,
    /// and every small job is done long before the huge one.
    #[test]
    fn jobs_take_turns_within_the_window() {
        for sweep_every in [1, 7, usize::MAX] {
            let mut sizes = vec![3; 21];
            sizes[0] = 1_000;
            let mut play = Play::new(8, &sizes);
            play.hint(0);
            assert_eq!(play.statuses[0].outstanding, 8);
            (1..21).for_each(|at| play.hint(at));
            assert_eq!(play.statuses[1].outstanding, 0, "the window is full");
            let mut steps = 0;
            while play.ended.len() < 21 {
                steps += 1;
                play.step(steps);
                if steps % sweep_every == 0 {
                    play.sweep();
                }
                assert!(steps < 5_000, "it hangs");
            }
            assert_eq!(play.ended[20], 0, "{:?}", play.ended);
        }
    }

    /// More jobs than the window holds, and sweeps in between: nobody starves, whatever its name.
    #[test]
    fn sweeps_do_not_favour_those_who_come_first() {
        let mut play = Play::new(4, &[10_000; 12]);
        play.sweep();
        for step in 0..1_200 {
            play.step(step);
            if step % 3 == 0 {
                play.sweep();
            }
        }
        let done: Vec<u32> = play.statuses.iter().map(|status| status.done).collect();
        assert!(done.iter().all(|done| (50..200).contains(done)), "{done:?}");
    }

    #[test]
    fn a_job_that_cannot_be_looked_at_keeps_nobody_waiting() {
        let (shares, jobs, mut statuses) = book(&[100, 100]);
        for at in 0..2 {
            shares.see(&jobs[at], &statuses[at], 1, NOW);
        }
        shares.set_aside(&jobs[0]);
        assert_eq!(shares.next_but(&jobs[1], 8), None);
        dispatch(&shares, &jobs[1], &mut statuses[1], 8);
        assert_eq!(statuses[1].outstanding, 8, "its share is the other's");
        dispatch(&shares, &jobs[0], &mut statuses[0], 16);
        assert_eq!(statuses[0].outstanding, 8, "it has one again");
    }

    /// Another coordinator has finished what this one believes to be handed out.
    #[test]
    fn what_others_may_have_finished_is_asked_about() {
        let (shares, jobs, mut statuses) = book(&[4, 4]);
        dispatch(&shares, &jobs[0], &mut statuses[0], 4);
        dispatch(&shares, &jobs[1], &mut statuses[1], 4);
        let suspects = shares.suspects(&jobs[1], 4, |_| true);
        assert_eq!(suspects, [(jobs[0].clone(), 1)]);
        assert!(shares.suspects(&jobs[1], 4, |_| false).is_empty());
        assert!(
            shares.suspects(&jobs[1], 8, |_| true).is_empty(),
            "there is room"
        );
        statuses[0].state = JobState::Complete;
        shares.see(&jobs[0], &statuses[0], 1, NOW);
        dispatch(&shares, &jobs[1], &mut statuses[1], 4);
        assert_eq!(statuses[1].outstanding, 4);
    }

    #[test]
    fn what_is_live_is_told_by_tenant() {
        let (shares, jobs, mut statuses) = book(&[10, 4]);
        statuses[0].outstanding = 3;
        statuses[0].state = JobState::Exporting;
        for at in 0..2 {
            shares.see(&jobs[at], &statuses[at], 1, NOW);
        }
        let shown = shares.live_jobs(16);
        assert_eq!((shown.accepted, shown.exporting, shown.window), (1, 1, 16));
        let work = shown.work.values().next().unwrap();
        assert_eq!((work.outstanding, work.backlog), (3, 11));
    }

    /// Since when the only tenant's job that has stood longest has.
    fn still(shares: &Shares) -> Option<Instant> {
        let work = shares.live_jobs(8).work;
        work.values().next().unwrap().still_since
    }

    /// One that stands still is told of however fast the others are.
    #[test]
    fn the_longest_standstill_is_told() {
        let (shares, jobs, mut statuses) = book(&[10, 10]);
        let at = |seconds: i64| Instant::from_millis(seconds * 1000);
        for second in [0, 10, 20] {
            shares.see(&jobs[0], &statuses[0], 1, at(second));
            shares.see(&jobs[1], &statuses[1], 1, at(second));
            // Handed out again and again, and never done.
            statuses[0].outstanding += 1;
            statuses[1].done += 1;
        }
        assert_eq!(still(&shares), Some(at(0)));
        statuses[0].done += 1;
        shares.see(&jobs[0], &statuses[0], 1, at(30));
        assert_eq!(still(&shares), Some(at(20)), "now it is the other");
        statuses[1].planned.chunks += 1;
        shares.see(&jobs[1], &statuses[1], 1, at(40));
        assert_eq!(still(&shares), Some(at(30)));
    }

    #[test]
    fn what_fell_silent_makes_room_for_others() {
        let (shares, jobs, mut statuses) = book(&[100, 100]);
        shares.see(&jobs[0], &statuses[0], 1, NOW);
        dispatch(&shares, &jobs[0], &mut statuses[0], 16);
        shares.see(&jobs[1], &statuses[1], 1, NOW);
        assert_eq!((statuses[0].outstanding, shares.of(&jobs[1], 16)), (16, 0));
        // All of them fell silent, and the index hands out as many as it may.
        let width = shares.of(&jobs[0], 16);
        assert_eq!(width, 8);
        shares.took(&jobs[0], width, 8);
        assert_eq!(shares.next_but(&jobs[0], 16), Some(jobs[1].clone()));
        assert_eq!(shares.of(&jobs[1], 16), 8);
        assert_eq!(shares.of(&jobs[0], 16), 8, "and it keeps its share");
    }

    #[test]
    fn who_waits_for_a_turn_does_not_stand_still() {
        let (shares, jobs, mut statuses) = book(&[100, 100]);
        let at = |seconds: i64| Instant::from_millis(seconds * 1000);
        dispatch(&shares, &jobs[0], &mut statuses[0], 8);
        for second in [10, 20] {
            statuses[0].done += 1;
            shares.see(&jobs[0], &statuses[0], 1, at(second));
            shares.see(&jobs[1], &statuses[1], 1, at(second));
            let width = shares.of(&jobs[1], 8);
            shares.took(&jobs[1], width, 0);
            assert_eq!((width, still(&shares)), (0, Some(at(second))));
        }
        // It has its turn, and nothing comes of it.
        statuses[1].outstanding = 4;
        statuses[0].outstanding = 4;
        for second in [30, 40] {
            statuses[0].done += 1;
            shares.see(&jobs[0], &statuses[0], 1, at(second));
            shares.see(&jobs[1], &statuses[1], 1, at(second));
            let width = shares.of(&jobs[1], 8);
            shares.took(&jobs[1], width, 0);
        }
        assert_eq!(still(&shares), Some(at(20)));
    }
}
