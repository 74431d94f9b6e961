//! Where the audit goes.

use async_trait::async_trait;
use bytes::Bytes;

use crate::PortError;

/// Takes AuditEvents for good.
#[async_trait]
pub trait AuditSink: Send + Sync {
    /// Writes events, each one line of JSON without its newline; durable on return. A batch may come
    /// again after a crash; every event has an id of its own to know it by.
    async fn write(&self, events: &[Bytes]) -> Result<(), PortError>;
}
