//! Delivers audit events again and again, and a last time at the end.

use std::time::Duration;

use sluice_engine::Relay;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How long a delivery may go on after the stop. What is not delivered then waits in the outbox.
const AT_THE_END: Duration = Duration::from_secs(5);

/// Begins at once: what a crash left should not wait.
pub(crate) async fn deliver(relay: Relay, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = stop.run_until_cancelled(ticks.tick()).await.is_none();
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(AT_THE_END).await;
        };
        tokio::select! {
            delivered = relay.deliver() => {
                if let Err(error) = delivered {
                    tracing::warn!(error = error.chain(), "audit events wait for their sink");
                }
            }
            () = patience => {}
        }
        if is_last {
            return;
        }
    }
}
