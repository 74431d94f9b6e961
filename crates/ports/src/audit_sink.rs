//! Where the audit goes.

use async_trait::async_trait;
use bytes::Bytes;

use crate::PortError;

/// Takes `AuditEvent`s for good.
#[async_trait]
pub trait AuditSink: Send + Sync {
    /// Writes events, each one line of JSON without its newline; durable on return and in
    /// the order of the batch. A batch may come again after a crash or a failure, whole or with others
    /// around it; every event has an id of its own to know it by. An empty batch writes nothing, and
    /// fails if it can be seen that others would.
    async fn write(&self, events: &[Bytes]) -> Result<(), PortError>;
}
