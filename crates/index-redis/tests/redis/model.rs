//! Any sequence of operations does in Redis what it does in memory.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sluice_fhir::Instant;
use sluice_index_redis::{RedisIndex, RedisOptions};
use sluice_local::MemoryIndex;
use sluice_model::{JobState, Tally};
use sluice_ports::{Index, JobStatus, Lease, Planned, PortError, Stale};
use sluice_testkit::ManualClock;

use crate::shared::{LONG, job, on_shared};

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, JobStatus),
    Planned(u8, Planned),
    /// Whether all that was begun is stale, and all that was not.
    Take(u8, u32, (bool, bool)),
    Done(u8, u32, Tally),
    Progress(u8, u32, Tally),
    End(u8, JobState, i64),
    Remove(u8),
    Lease(u8),
    Renew(u8),
    Release(u8),
    Claim(u8, u8),
    Unclaim(u8, u8),
    Mark,
}

fn tallies() -> impl Strategy<Value = Tally> {
    (0..1000_u64, 0..1_000_000_u64).prop_map(|(resources, bytes)| Tally { resources, bytes })
}

fn plans() -> impl Strategy<Value = Planned> {
    (0..70_u32, tallies(), any::<bool>()).prop_map(|(chunks, expected, sealed)| Planned {
        chunks,
        expected,
        sealed,
    })
}

fn states() -> impl Strategy<Value = JobState> {
    use JobState::{Accepted, Cancelled, Complete, Exporting, Failed};
    prop::sample::select(vec![Accepted, Exporting, Complete, Failed, Cancelled])
}

fn statuses() -> impl Strategy<Value = JobStatus> {
    let known = (states(), any::<i64>(), plans(), tallies(), 0..5_u32);
    let rebuilt = known.prop_map(|(state, at, planned, tally, done)| JobStatus {
        state,
        ended_at: (!state.is_running()).then(|| Instant::from_nanos(at)),
        planned,
        done,
        tally,
        ..JobStatus::accepted(Instant::from_nanos(at))
    });
    prop_oneof![
        2 => any::<i64>().prop_map(|at| JobStatus::accepted(Instant::from_nanos(at))),
        1 => rebuilt,
    ]
}

fn stale() -> impl Strategy<Value = (bool, bool)> {
    let seldom = || prop::bool::weighted(0.2);
    (seldom(), seldom())
}

fn steps() -> impl Strategy<Value = Step> {
    let job = || 0..2_u8;
    let chunk = || 0..75_u32;
    prop_oneof![
        3 => (job(), statuses()).prop_map(|(job, status)| Step::Insert(job, status)),
        4 => (job(), plans()).prop_map(|(job, plan)| Step::Planned(job, plan)),
        8 => (job(), 0..30_u32, stale()).prop_map(|(j, w, s)| Step::Take(j, w, s)),
        8 => (job(), chunk(), tallies()).prop_map(|(j, c, t)| Step::Done(j, c, t)),
        4 => (job(), chunk(), tallies()).prop_map(|(j, c, t)| Step::Progress(j, c, t)),
        1 => (job(), states(), any::<i64>()).prop_map(|(j, s, at)| Step::End(j, s, at)),
        1 => job().prop_map(Step::Remove),
        1 => job().prop_map(Step::Lease),
        1 => job().prop_map(Step::Renew),
        1 => job().prop_map(Step::Release),
        1 => (job(), job()).prop_map(|(name, job)| Step::Claim(name, job)),
        1 => (job(), job()).prop_map(|(name, job)| Step::Unclaim(name, job)),
        1 => Just(Step::Mark),
    ]
}

/// One index, and the last lease taken of each name: their numbers differ from index to index.
struct Side<'a> {
    index: &'a dyn Index,
    leases: [Option<Lease>; 2],
}

impl Side<'_> {
    async fn hold(&mut self, step: &Step) -> Result<String, PortError> {
        let index = self.index;
        Ok(match step {
            Step::Lease(name) => {
                let lease = index.lease(&name.to_string(), LONG).await?;
                let text = format!("{}", lease.is_some());
                if lease.is_some() {
                    self.leases[usize::from(*name)] = lease;
                }
                text
            }
            Step::Renew(name) => match &self.leases[usize::from(*name)] {
                Some(lease) => index.renew(lease, LONG).await?.to_string(),
                None => String::new(),
            },
            Step::Release(name) => match &self.leases[usize::from(*name)] {
                Some(lease) => format!("{:?}", index.release(lease).await?),
                None => String::new(),
            },
            Step::Claim(name, who) => {
                let holder = index.claim(&name.to_string(), &job(*who), LONG).await?;
                format!("{holder:?}")
            }
            Step::Unclaim(name, who) => {
                format!("{:?}", index.unclaim(&name.to_string(), &job(*who)).await?)
            }
            _ => format!("{:?}", index.mark().await?),
        })
    }

    async fn take(&mut self, step: &Step) -> Result<String, PortError> {
        let index = self.index;
        Ok(match step {
            Step::Insert(name, status) => {
                let status = status.clone();
                index.insert(&job(*name), status).await?.to_string()
            }
            Step::Planned(name, plan) => format!("{:?}", index.planned(&job(*name), *plan).await?),
            Step::Take(name, width, (silent, unbegun)) => {
                let after = |stale: &bool| if *stale { Duration::ZERO } else { LONG };
                let stale = Stale {
                    silent: after(silent),
                    unbegun: after(unbegun),
                };
                format!("{:?}", index.take_window(&job(*name), *width, stale).await?)
            }
            Step::Done(name, chunk, tally) => {
                format!("{:?}", index.chunk_done(&job(*name), *chunk, *tally).await?)
            }
            Step::Progress(name, chunk, tally) => {
                let job = job(*name);
                format!("{:?}", index.chunk_progress(&job, *chunk, *tally).await?)
            }
            Step::End(name, state, at) => {
                let at = Instant::from_nanos(*at);
                index.end(&job(*name), *state, at).await?.to_string()
            }
            Step::Remove(name) => format!("{:?}", index.remove(&job(*name)).await?),
            hold => self.hold(hold).await?,
        })
    }

    async fn look(&self) -> Result<String, PortError> {
        let jobs = self.index.jobs().await?;
        let marked = self.index.is_marked().await?;
        let first = self.index.get(&job(0)).await?;
        let second = self.index.get(&job(1)).await?;
        Ok(format!("{jobs:?} {marked}\n{first:?}\n{second:?}"))
    }
}

async fn compare(redis: &RedisIndex, steps: &[Step]) -> Result<(), TestCaseError> {
    let memory = MemoryIndex::new(Arc::new(ManualClock::default()));
    let side = |index| Side {
        index,
        leases: [None, None],
    };
    let (mut left, mut right) = (side(redis), side(&memory));
    for step in steps {
        let got = left.take(step).await.unwrap();
        let want = right.take(step).await.unwrap();
        prop_assert_eq!(got, want, "{:?}", step);
        let got = left.look().await.unwrap();
        let want = right.look().await.unwrap();
        prop_assert_eq!(got, want, "after {:?}", step);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_does_what_memory_does() {
    on_shared("model", |place| async move {
        let url = sluice_testkit::stack("SLUICE_PORTS__INDEX");
        let runtime = tokio::runtime::Handle::current();
        let run = move || {
            let config = Config {
                cases: 60,
                failure_persistence: None,
                ..Config::default()
            };
            let cases = std::cell::Cell::new(0);
            let run = |steps: Vec<Step>| {
                cases.set(cases.get() + 1);
                let mut options = RedisOptions::new(&url);
                options.prefix = format!("{}-{}", place.prefix, cases.get());
                options.response_timeout = Duration::from_secs(20);
                runtime.block_on(async {
                    let redis = RedisIndex::connect(options).await.unwrap();
                    compare(&redis, &steps).await
                })
            };
            let steps = prop::collection::vec(steps(), 1..40);
            TestRunner::new(config).run(&steps, run).unwrap();
        };
        tokio::task::spawn_blocking(run).await.unwrap();
    })
    .await;
}
