//! The loop that every consumer runs: receive, handle, settle; stop by finishing what is held.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::{Hint, Lane};
use sluice_ports::{Queue, Settle};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// How a consumer behaves.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages handled at once.
    pub width: usize,
    /// How long those in hand may take at a stop. What is not done then is given back.
    pub grace: Duration,
}

/// Runs `handle` on each message of a lane and its attempt until `stop`.
pub async fn drive<H, F>(
    queue: Arc<dyn Queue>,
    lane: Lane,
    pace: Pace,
    stop: CancellationToken,
    handle: H,
) where
    H: Fn(Hint, u32) -> F,
    F: Future<Output = Settle> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(pace.width));
    let held = TaskTracker::new();
    let end = CancellationToken::new();
    loop {
        // Room first, message second: a message is never held by a process too busy for it.
        let permit = stop.run_until_cancelled(Arc::clone(&room).acquire_owned());
        let Some(Ok(permit)) = permit.await else {
            break;
        };
        let Some(received) = stop.run_until_cancelled(queue.receive(lane)).await else {
            break;
        };
        let delivery = match received {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::warn!(?lane, error = error.chain(), "receiving hints failed");
                stop.run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_ERROR))
                    .await;
                continue;
            }
        };
        let work = handle(delivery.hint().clone(), delivery.attempt());
        let end = end.clone();
        held.spawn(async move {
            let Some(how) = end.run_until_cancelled(work).await else {
                // Dropped unsettled, the message goes back.
                return drop(permit);
            };
            if !delivery.is_held() {
                // It comes back by itself; what was done for it is found done (T2).
                tracing::debug!("a hint was given to another meanwhile");
                return drop(permit);
            }
            if let Err(error) = delivery.settle(how).await {
                tracing::warn!(error = error.chain(), "a settled hint will come back");
            }
            drop(permit);
        });
    }
    held.close();
    if tokio::time::timeout(pace.grace, held.wait()).await.is_err() {
        tracing::warn!(
            ?lane,
            left = held.len(),
            "what is not done in time is given back"
        );
        end.cancel();
        held.wait().await;
    }
}
