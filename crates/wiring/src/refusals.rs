//! What happens when somebody tries an admin port without its secret: it is told in the log and in the audit.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{Audit, AuditEntry, Origin, Ports};
use sluice_ports::{PortError, Rate};
use sluice_runtime::OnRefusal;

/// Refusals that are told of, of all who may not: so many at once and then one a second. Who tries secrets one after
/// another should not fill the outbox. The metric counts them all.
const REFUSALS: Rate = Rate {
    burst: 100,
    every: Duration::from_secs(1),
};

/// Tells of refusals at these ports. What cannot be written down is refused all the same.
pub(crate) fn on_refusal(ports: &Ports, audit: &Audit) -> OnRefusal {
    let (ports, audit) = (ports.clone(), audit.clone());
    Arc::new(move |from, path| {
        let (ports, audit) = (ports.clone(), audit.clone());
        Box::pin(async move {
            if let Err(error) = tell(&ports, &audit, from, path).await {
                tracing::warn!(
                    error = error.chain(),
                    "a refusal cannot be written down now"
                );
            }
        })
    })
}

async fn tell(ports: &Ports, audit: &Audit, from: IpAddr, path: &str) -> Result<(), PortError> {
    let budget = "audit/refused/admin";
    if ports.index.spend(budget, REFUSALS).await?.is_some() {
        return Ok(());
    }
    tracing::warn!(%from, path, "somebody without the admin secret was refused");
    let entry = AuditEntry::by_stranger_to_admin(&Origin::at(Some(from)), path);
    audit.record(&entry).await
}

#[cfg(test)]
mod tests {
    use sluice_engine::Metrics;
    use sluice_local::{DirectoryBlobs, MemoryIndex, MemoryQueue, SystemClock, SystemEntropy};
    use sluice_model::layout;

    use super::*;

    #[tokio::test]
    async fn refusals_are_written_down_until_they_are_too_many() {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let ports = Ports {
            blobs: Arc::new(DirectoryBlobs::open(home.path()).unwrap()),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock,
            entropy: Arc::new(SystemEntropy),
            metrics: Metrics::default(),
        };
        let on_refusal = on_refusal(&ports, &Audit::new(&ports, 10_000));
        let tries = 3 * REFUSALS.burst;
        for _ in 0..tries {
            on_refusal(IpAddr::from([192, 0, 2, 7]), "/jobs").await;
        }
        let outbox = layout::audit_outbox();
        let events = ports.blobs.list(outbox, None, 1000).await.unwrap();
        let most = usize::try_from(tries).unwrap();
        assert!((100..most).contains(&events.len()), "{}", events.len());
        let event = ports.blobs.get(&events[0].key).await.unwrap().unwrap();
        let event = String::from_utf8(event.to_vec()).unwrap();
        for told in ["access-refused", "192.0.2.7", "no admin secret for /jobs"] {
            assert!(event.contains(told), "{told}: {event}");
        }
    }
}
