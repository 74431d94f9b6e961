//! The loop that every consumer runs: receive, handle, settle; stop by finishing what is held.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use sluice_model::{Hint, Lane};
use sluice_ports::{Delivery, Settle, Settled};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Metrics, Ports};

const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(10);
/// Tries at a chunk that may panic before it is buried.
const MOST_PANICS: u32 = 4;

/// How a consumer behaves.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages handled at once.
    pub width: usize,
    /// How long those in hand may take at a stop. What is not done then is given back.
    pub grace: Duration,
}

/// A message to handle.
#[derive(Clone, Debug)]
pub struct Received {
    /// What it says.
    pub hint: Hint,
    /// How often it was retried before.
    pub attempt: u32,
    /// The trace of what caused it.
    pub traceparent: Option<String>,
}

/// Whether messages of a lane are taken now, and how many are in hand. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<Passage>>);

#[derive(Clone, Copy, Debug)]
struct Passage {
    is_open: bool,
    in_hand: usize,
}

impl Default for Gate {
    /// Open.
    fn default() -> Self {
        Self::new(true)
    }
}

impl Gate {
    /// Open or not.
    pub fn new(is_open: bool) -> Self {
        let in_hand = 0;
        Self(Arc::new(watch::Sender::new(Passage { is_open, in_hand })))
    }

    /// Opens or closes it; says whether that changed anything. What is in hand stays there.
    pub fn set(&self, is_open: bool) -> bool {
        self.0.send_if_modified(|passage| {
            let was_open = std::mem::replace(&mut passage.is_open, is_open);
            was_open != is_open
        })
    }

    /// Whether messages are taken.
    pub fn is_open(&self) -> bool {
        self.0.borrow().is_open
    }

    /// Messages that were taken and are not settled.
    pub fn in_hand(&self) -> usize {
        self.0.borrow().in_hand
    }

    async fn is(&self, open: bool) {
        let mut seen = self.0.subscribe();
        let _the_sender_is_here = seen.wait_for(|passage| passage.is_open == open).await;
    }

    /// One more in hand, unless it was closed meanwhile.
    fn enter(&self) -> Option<InHand> {
        let entered = self.0.send_if_modified(|passage| {
            passage.in_hand += usize::from(passage.is_open);
            passage.is_open
        });
        entered.then(|| InHand(self.clone()))
    }
}

/// Counts one as in hand.
struct InHand(Gate);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.0.send_modify(|passage| passage.in_hand -= 1);
    }
}

/// Runs `handle` on each message of a lane until `stop`; none is taken while the gate is closed.
/// Dropped, it drops all that it holds, and the messages go back.
pub async fn drive<H, F>(
    ports: Ports,
    lane: Lane,
    pace: Pace,
    (gate, stop): (Gate, CancellationToken),
    handle: H,
) where
    H: Fn(Received) -> F,
    F: Future<Output = Settle> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(pace.width));
    let mut held = JoinSet::new();
    ports.metrics.has_slots(lane, pace.width);
    let end = CancellationToken::new();
    loop {
        // Room first, message second: a message is never held by a process too busy for it.
        let permit = stop.run_until_cancelled(Arc::clone(&room).acquire_owned());
        let Some(Ok(permit)) = permit.await else {
            break;
        };
        while held.try_join_next().is_some() {}
        let next = stop.run_until_cancelled(take(&ports, (lane, pace.width), &gate));
        let Some(next) = next.await else {
            break;
        };
        let Some((delivery, in_hand)) = next else {
            continue;
        };
        ports.metrics.received(lane, delivery.is_redelivered());
        let attempt = delivery.attempt();
        let work = handle(Received {
            hint: delivery.hint().clone(),
            attempt,
            traceparent: delivery.traceparent().map(str::to_owned),
        });
        let (end, metrics) = (end.clone(), ports.metrics.clone());
        let busy = metrics.busy_slot(lane);
        held.spawn(async move {
            let begun = Instant::now();
            let work = AssertUnwindSafe(work).catch_unwind();
            if let Some(done) = end.run_until_cancelled(work).await {
                let how = done.unwrap_or_else(|_| after_a_panic(lane, attempt));
                settle(delivery, how, lane, &metrics).await;
                metrics.processed(lane, begun.elapsed());
            }
            // Otherwise dropped unsettled: the message goes back.
            drop((permit, busy, in_hand));
        });
    }
    ports.queue.stop_receiving(lane);
    ports.metrics.has_slots(lane, 0);
    let finished = tokio::time::timeout(pace.grace, finish(&mut held)).await;
    if finished.is_err() {
        let left = held.len();
        tracing::warn!(?lane, left, "what is not done in time is given back");
        end.cancel();
        finish(&mut held).await;
    }
}

/// Waits for a message, and for the gate to be open. Nothing when there is none after all. Who stops waiting
/// takes no message with it.
async fn take(
    ports: &Ports,
    (lane, width): (Lane, usize),
    gate: &Gate,
) -> Option<(Box<dyn Delivery>, InHand)> {
    if !gate.is_open() {
        ports.queue.stop_receiving(lane);
        // Slots that take nothing are none, or nobody would see that no worker is left.
        ports.metrics.has_slots(lane, 0);
        gate.is(true).await;
        ports.metrics.has_slots(lane, width);
    }
    let received = tokio::select! {
        received = ports.queue.receive(lane) => received,
        () = gate.is(false) => return None,
    };
    match received {
        // One that came as the gate closed is dropped, and goes back.
        Ok(delivery) => gate.enter().map(|in_hand| (delivery, in_hand)),
        Err(error) => {
            tracing::warn!(?lane, error = error.chain(), "receiving hints failed");
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            None
        }
    }
}

async fn finish(held: &mut JoinSet<()>) {
    while held.join_next().await.is_some() {}
}

/// One that panics takes nothing with it (C11): a chunk is tried again and then buried, a job is
/// left to the sweep.
fn after_a_panic(lane: Lane, attempt: u32) -> Settle {
    tracing::error!(?lane, attempt, "handling a hint panicked");
    match lane {
        Lane::Jobs => Settle::Ack,
        Lane::Chunks if attempt < MOST_PANICS => Settle::RetryAfter(PAUSE_AFTER_PANIC),
        Lane::Chunks => Settle::DeadLetter,
        Lane::Dead => Settle::RetryAfter(PAUSE_AFTER_PANIC * 60),
    }
}

/// What belongs to another meanwhile comes back by itself, and what was done for it is found done
/// (T2).
async fn settle(delivery: Box<dyn Delivery>, how: Settle, lane: Lane, metrics: &Metrics) {
    let settled = if delivery.is_held() {
        delivery.settle(how).await
    } else {
        Ok(Settled::Lost)
    };
    match settled {
        Ok(Settled::Done) => {}
        Ok(Settled::Lost) => {
            tracing::debug!(?lane, "a hint was given to another meanwhile");
            metrics.lost_before_settled(lane);
        }
        Err(error) => {
            tracing::warn!(
                ?lane,
                error = error.chain(),
                "a settled hint will come back"
            );
        }
    }
}
