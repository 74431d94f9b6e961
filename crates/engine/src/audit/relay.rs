//! Brings events from the outbox to the sink, oldest first, and removes them once they are there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serde::de::IgnoredAny;
use serde_json::Value;
use sluice_model::layout;
use sluice_ports::{AuditSink, BlobInfo, Lease, PortError};

use crate::Ports;

/// One relay at a time saves work; two deliver some events twice and lose none.
const LEASE: &str = "audit/relay";
/// Longer than a batch may take.
const LEASE_LIFE: Duration = Duration::from_mins(1);
/// How long the sink may take over a batch.
const SINK_WAIT: Duration = Duration::from_secs(30);
/// Events of a batch.
const BATCH: usize = 500;
/// Events read at once.
const READS: usize = 16;
/// Keys counted at a time, and at most.
const COUNTED: (usize, usize) = (1000, 100_000);

/// Delivers. Clones are the same relay.
#[derive(Clone)]
pub struct Relay {
    ports: Ports,
    sink: Arc<dyn AuditSink>,
    /// Keys of events that are none, told of once.
    known_bad: Arc<Mutex<BTreeSet<String>>>,
}

/// What one delivery came to.
#[derive(Default)]
struct Round {
    delivered: usize,
    /// What no sink could take.
    bad: BTreeSet<String>,
    /// Why something could not be read.
    unread: Option<PortError>,
}

impl Relay {
    /// Delivers from the outbox of these ports to this sink.
    pub fn new(ports: &Ports, sink: Arc<dyn AuditSink>) -> Self {
        Self {
            ports: ports.clone(),
            sink,
            known_bad: Arc::default(),
        }
    }

    /// Whether the sink can be written to, as far as that can be seen without an event.
    pub async fn check(&self) -> Result<(), PortError> {
        self.sink.write(&[]).await
    }

    /// Delivers everything that waits, unless another relay is at it; says how many events. What
    /// could not be delivered waits for the next time.
    pub async fn deliver(&self) -> Result<usize, PortError> {
        let lease = match self.ports.index.lease(LEASE, LEASE_LIFE).await {
            Ok(None) => {
                self.ports.metrics.audit_waiting(None);
                return Ok(0);
            }
            Ok(lease) => lease,
            Err(error) => {
                // The audit does not wait for the index: delivering twice is harmless.
                tracing::debug!(
                    error = error.chain(),
                    "the audit is delivered without a lease"
                );
                None
            }
        };
        let mut round = Round::default();
        let ended = self.deliver_all(lease.as_ref(), &mut round).await;
        if let Some(lease) = lease {
            let _runs_out_anyway = self.ports.index.release(&lease).await;
        }
        self.account(&ended, round.bad.len()).await;
        self.tell_once(round.bad);
        ended.map(|()| round.delivered)
    }

    async fn deliver_all(&self, lease: Option<&Lease>, round: &mut Round) -> Result<(), PortError> {
        let (outbox, mut after) = (layout::audit_outbox(), None::<String>);
        loop {
            let blobs = &self.ports.blobs;
            let listed = blobs.list(outbox, after.as_deref(), BATCH).await?;
            let is_last = listed.len() < BATCH;
            after = listed.last().map(|last| last.key.clone());
            self.deliver_batch(listed, round).await?;
            if is_last || !self.is_ours(lease).await {
                return round.unread.take().map_or(Ok(()), Err);
            }
        }
    }

    /// Whether no other relay has begun meanwhile.
    async fn is_ours(&self, lease: Option<&Lease>) -> bool {
        let Some(lease) = lease else {
            return true;
        };
        let renewed = self.ports.index.renew(lease, LEASE_LIFE).await;
        renewed.unwrap_or(true)
    }

    /// One that cannot be read does not hold up the others.
    async fn deliver_batch(
        &self,
        listed: Vec<BlobInfo>,
        round: &mut Round,
    ) -> Result<(), PortError> {
        let blobs = &self.ports.blobs;
        let reads = listed.into_iter().map(|info| async move {
            let body = blobs.get(&info.key).await;
            (info.key, body)
        });
        let mut reads = futures::stream::iter(reads).buffered(READS);
        let (mut keys, mut lines) = (Vec::new(), Vec::new());
        while let Some((key, body)) = reads.next().await {
            match body {
                Ok(Some(body)) => {
                    if let Some(line) = one_line(body) {
                        keys.push(key);
                        lines.push(line);
                    } else {
                        round.bad.insert(key);
                    }
                }
                // Another relay was faster.
                Ok(None) => {}
                Err(error) => round.unread = Some(error),
            }
        }
        drop(reads);
        if lines.is_empty() {
            return round.unread.take().map_or(Ok(()), Err);
        }
        self.hand_over(&lines).await?;
        round.delivered += lines.len();
        self.ports.metrics.audit_delivered(lines.len());
        blobs.delete(&keys).await
    }

    /// A sink that hangs is down.
    async fn hand_over(&self, lines: &[Bytes]) -> Result<(), PortError> {
        match tokio::time::timeout(SINK_WAIT, self.sink.write(lines)).await {
            Ok(written) => written,
            Err(late) => Err(PortError::transient("writing audit events", late)),
        }
    }

    async fn account(&self, ended: &Result<(), PortError>, bad: usize) {
        let metrics = &self.ports.metrics;
        if ended.is_ok() {
            metrics.audit_waiting(Some(bad));
            return;
        }
        metrics.audit_failed();
        // A store that cannot tell leaves the figure as it was.
        if let Ok(waiting) = self.count().await {
            metrics.audit_waiting(Some(waiting));
        }
    }

    async fn count(&self) -> Result<usize, PortError> {
        let ((page, most), mut waiting, mut after) = (COUNTED, 0, None::<String>);
        loop {
            let (outbox, blobs) = (layout::audit_outbox(), &self.ports.blobs);
            let mut listed = blobs.list(outbox, after.as_deref(), page).await?;
            waiting += listed.len();
            if listed.len() < page || waiting >= most {
                return Ok(waiting);
            }
            after = listed.pop().map(|last| last.key);
        }
    }

    fn tell_once(&self, bad: BTreeSet<String>) {
        let mut known = self
            .known_bad
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for key in bad.difference(&known) {
            tracing::error!(key, "this is no audit event; it stays where it is");
        }
        *known = bad;
    }
}

/// What is JSON goes on as it is, but on one line.
fn one_line(body: Bytes) -> Option<Bytes> {
    if body.contains(&b'\n') || body.contains(&b'\r') {
        let value: Value = serde_json::from_slice(&body).ok()?;
        return Some(value.to_string().into());
    }
    let _whatever: IgnoredAny = serde_json::from_slice(&body).ok()?;
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_json_becomes_one_line() {
        let line = |text: &'static str| one_line(Bytes::from_static(text.as_bytes()));
        assert_eq!(line(r#"{"a": 1}"#).unwrap(), r#"{"a": 1}"#);
        assert_eq!(line("{\"a\":\n 1}\n").unwrap(), r#"{"a":1}"#);
        for bad in ["", "{\"a\":", "{}\n{}", "\u{0}\u{0}"] {
            assert_eq!(line(bad), None, "{bad:?}");
        }
    }
}
