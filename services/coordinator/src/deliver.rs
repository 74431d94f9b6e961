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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sluice_engine::{Audit, AuditAction, AuditEntry, AuditOutcome, BlobsSink, Metrics, Ports};
    use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
    use sluice_ports::{Blobs, PortError};
    use sluice_testkit::{ManualClock, SeededEntropy};

    use super::*;

    fn ports() -> Ports {
        let clock = Arc::new(ManualClock::default());
        Ports {
            blobs: Arc::new(MemoryBlobs::default()),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            metrics: Metrics::default(),
        }
    }

    async fn record(ports: &Ports) -> Result<(), PortError> {
        let tenant = "one".parse().unwrap();
        let entry = AuditEntry::new(&tenant, AuditAction::KickOff, AuditOutcome::Success);
        Audit::new(ports, 10).record(&entry).await
    }

    async fn objects(blobs: &dyn Blobs, below: &str) -> usize {
        blobs.list(below, None, 99).await.unwrap().len()
    }

    #[tokio::test(start_paused = true)]
    async fn it_delivers_at_once_again_and_at_the_end() {
        let (ports, stop) = (ports(), CancellationToken::new());
        let relay = Relay::new(&ports, Arc::new(BlobsSink::new(ports.blobs.clone())));
        record(&ports).await.unwrap();
        let hour = Duration::from_hours(1);
        let delivering = tokio::spawn(deliver(relay, hour, stop.clone()));
        for batches in 1..=2 {
            tokio::time::sleep(hour / 2).await;
            assert_eq!(objects(&*ports.blobs, "_audit/log/").await, batches);
            record(&ports).await.unwrap();
            tokio::time::sleep(hour / 2).await;
        }
        tokio::time::sleep(hour / 2).await;
        record(&ports).await.unwrap();
        stop.cancel();
        delivering.await.unwrap();
        assert_eq!(objects(&*ports.blobs, "_audit/log/").await, 4);
        assert_eq!(objects(&*ports.blobs, "_audit/outbox/").await, 0);
    }
}
