//! Keeps a chunk while it is worked on: renews its lease, tells how far it is, and sees when there is no more use in it.

use sluice_model::Tally;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Export, Task};

/// What a worker keeps in sight while it writes.
pub(super) struct Watch {
    pub(super) ticks: Interval,
    pub(super) so_far: Tally,
}

impl Export {
    pub(super) fn watch(&self) -> Watch {
        let every = self.limits.progress_every;
        let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Watch {
            ticks,
            so_far: Tally::default(),
        }
    }

    /// Works, and says so now and then however long the work takes; `None` when there is no more
    /// use in it.
    pub(super) async fn beside<T>(
        &self,
        task: &Task<'_>,
        watch: &mut Watch,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                _ = watch.ticks.tick() => {
                    if self.is_pointless(task, watch.so_far).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Keeps the chunk, and tells the index how far it is; its silence changes nothing.
    async fn is_pointless(&self, task: &Task<'_>, so_far: Tally) -> bool {
        let (job, index) = (&task.record.name, &self.ports.index);
        if self.is_another_at_it(task).await {
            return true;
        }
        let _remark = index
            .chunk_progress(job, task.chunk.ordinal(), so_far)
            .await;
        let status = index.get(job).await.ok().flatten();
        status.is_some_and(|status| !status.state.is_running())
    }

    /// A lease that ran out, or that the index lost, is taken again.
    async fn is_another_at_it(&self, task: &Task<'_>) -> bool {
        let (index, life) = (&self.ports.index, self.limits.lease);
        let mut held = task.lease.lock().await;
        let Some(lease) = held.as_ref() else {
            return false;
        };
        if !matches!(index.renew(lease, life).await, Ok(false)) {
            return false;
        }
        match index.lease(&lease.name, life).await {
            Ok(Some(again)) => {
                *held = Some(again);
                false
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }
}
