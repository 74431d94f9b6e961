//! What happens when somebody tries an admin port without its secret: it is told in the log and in the audit.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{Audit, AuditEntry, Origin, Ports};
use sluice_ports::{PortError, Rate};
use sluice_runtime::OnRefusal;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Refusals that are written down, of all who may not: so many at once and then one a second. Who tries secrets one after
/// another should not fill the outbox. The metric counts them all.
const REFUSALS: Rate = Rate {
    burst: 100,
    every: Duration::from_secs(1),
};
/// Refusals that may wait to be told of. More come only if somebody tries very fast, or the servers hang.
const MOST_WAITING: usize = 256;
/// Between two lines of the log.
const QUIET: Duration = Duration::from_secs(1);

/// Tells of refusals at these ports, beside the answers: nobody waits for a server to hear that they may not.
pub(crate) fn on_refusal(ports: &Ports, audit: &Audit) -> OnRefusal {
    let (sender, refusals) = mpsc::channel(MOST_WAITING);
    tokio::spawn(tell_all(ports.clone(), audit.clone(), refusals));
    Arc::new(move |from, path| {
        let _counted_all_the_same = sender.try_send((from, path));
    })
}

/// Until nobody refuses any more.
async fn tell_all(
    ports: Ports,
    audit: Audit,
    mut refusals: mpsc::Receiver<(IpAddr, &'static str)>,
) {
    let (mut told_at, mut untold) = (None::<Instant>, 0_u64);
    while let Some((from, path)) = refusals.recv().await {
        if told_at.is_some_and(|at| at.elapsed() < QUIET) {
            untold += 1;
        } else {
            tracing::warn!(%from, path, untold, "somebody without the admin secret was refused");
            (told_at, untold) = (Some(Instant::now()), 0);
        }
        if let Err(error) = write_down(&ports, &audit, from, path).await {
            tracing::debug!(
                error = error.chain(),
                "a refusal cannot be written down now"
            );
        }
    }
}

async fn write_down(
    ports: &Ports,
    audit: &Audit,
    from: IpAddr,
    path: &str,
) -> Result<(), PortError> {
    let budget = "audit/refused/admin";
    if ports.index.spend(budget, REFUSALS).await?.is_some() {
        return Ok(());
    }
    let entry = AuditEntry::by_stranger_to_admin(&Origin::at(from), path);
    audit.record(&entry).await
}

#[cfg(test)]
mod tests {
    use sluice_engine::Metrics;
    use sluice_local::{DirectoryBlobs, MemoryIndex, MemoryQueue, SystemClock, SystemEntropy};
    use sluice_model::layout;
    use sluice_ports::BlobInfo;

    use super::*;

    async fn written(ports: &Ports) -> Vec<BlobInfo> {
        let outbox = layout::audit_outbox();
        ports.blobs.list(outbox, None, 1000).await.unwrap()
    }

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
        let (sender, refusals) = mpsc::channel(MOST_WAITING);
        let telling = tell_all(ports.clone(), Audit::new(&ports, 10_000), refusals);
        let telling = tokio::spawn(telling);
        let tries = 3 * REFUSALS.burst;
        for _ in 0..tries {
            let refusal = (IpAddr::from([192, 0, 2, 7]), "/jobs");
            sender.send(refusal).await.unwrap();
        }
        drop(sender);
        telling.await.unwrap();
        let events = written(&ports).await;
        let most = usize::try_from(tries).unwrap();
        assert!((100..most).contains(&events.len()), "{}", events.len());
        let event = ports.blobs.get(&events[0].key).await.unwrap().unwrap();
        let event = String::from_utf8(event.to_vec()).unwrap();
        for told in ["access-refused", "192.0.2.7", "no admin secret for /jobs"] {
            assert!(event.contains(told), "{told}: {event}");
        }
    }
}
