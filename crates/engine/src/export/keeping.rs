//! Keeps a chunk while it is worked on: renews its lease, tells how far it is, and sees when there is no more use in it.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, pending};
use sluice_model::Tally;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Export, Task};

/// How long the end of the work waits for the last look.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What a worker keeps in sight while it writes.
pub(super) struct Watch<'a> {
    export: &'a Export,
    task: &'a Task<'a>,
    ticks: Interval,
    pub(super) so_far: Tally,
    /// A look that has begun, from one piece of work to the next: an index that does not answer must not hold up the
    /// work, and a lease that is taken must not be forgotten.
    look: Option<BoxFuture<'a, bool>>,
}

impl Watch<'_> {
    /// Lets a look that has begun come to its end, so that a lease which it takes is given back.
    pub(super) async fn end(self) {
        if let Some(look) = self.look {
            let _runs_out_anyway = tokio::time::timeout(LAST_LOOK, look).await;
        }
    }

    /// Works, and looks now and then, however long the work takes, whether there is still use in it; `None` when there
    /// is no more.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let look = &mut self.look;
            tokio::select! {
                done = &mut work => return Some(done),
                is_pointless = seen(look), if look.is_some() => {
                    if is_pointless {
                        return None;
                    }
                    *look = None;
                }
                _ = self.ticks.tick(), if look.is_none() => {
                    *look = Some(self.export.is_pointless(self.task, self.so_far).boxed());
                }
            }
        }
    }
}

/// What a look sees.
async fn seen(look: &mut Option<BoxFuture<'_, bool>>) -> bool {
    match look {
        Some(look) => look.await,
        None => pending().await,
    }
}

impl Export {
    pub(super) fn watch<'a>(&'a self, task: &'a Task<'a>) -> Watch<'a> {
        let every = self.limits.progress_every;
        let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Watch {
            export: self,
            task,
            ticks,
            so_far: Tally::default(),
            look: None,
        }
    }

    /// Keeps the chunk, and tells the index how far it is; its silence changes nothing.
    async fn is_pointless(&self, task: &Task<'_>, so_far: Tally) -> bool {
        let (job, index) = (&task.record.name, &self.ports.index);
        let (is_another, _remark, status) = tokio::join!(
            self.is_another_at_it(task),
            index.chunk_progress(job, task.chunk.ordinal(), so_far),
            index.get(job),
        );
        let status = status.ok().flatten();
        is_another || status.is_some_and(|status| !status.state.is_running())
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
