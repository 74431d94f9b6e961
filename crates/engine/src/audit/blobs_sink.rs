//! The audit for good in an object store: one NDJSON object for each batch, in folders by day.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use sluice_fhir::Instant;
use sluice_model::layout;
use sluice_ports::{AuditSink, Blobs, PortError};

/// Writes each batch as an object.
#[derive(Clone)]
pub struct BlobsSink {
    blobs: Arc<dyn Blobs>,
}

impl BlobsSink {
    /// Writes below `_audit/log/` in these objects.
    pub fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs }
    }
}

#[derive(Deserialize)]
struct Recorded {
    recorded: Instant,
}

fn recorded(event: &Bytes) -> Option<Instant> {
    let event: Recorded = serde_json::from_slice(event).ok()?;
    Some(event.recorded)
}

#[async_trait]
impl AuditSink for BlobsSink {
    /// The name follows from what is written, so that the same batch is the same object.
    async fn write(&self, events: &[Bytes]) -> Result<(), PortError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut body = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
        for event in events {
            body.extend_from_slice(event);
            body.push(b'\n');
        }
        let id = hex::encode(&Sha256::digest(&body)[..16]);
        let first = events.iter().find_map(recorded);
        let first = first.unwrap_or(Instant::from_millis(0));
        let key = layout::audit_batch(first, &id);
        let _there_now_or_before = self.blobs.create(&key, body.into()).await?;
        Ok(())
    }
}
