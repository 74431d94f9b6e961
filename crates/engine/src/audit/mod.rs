//! Who did what. An event lies in the outbox, durable, before what it tells of happens; a
//! coordinator brings it to the sink from there, at least once.

mod blobs_sink;
mod event;
mod fhir;
mod outbox;
mod relay;

pub use blobs_sink::BlobsSink;
pub use event::{Actor, AuditAction, AuditEntry, AuditOutcome};
pub use outbox::Audit;
pub use relay::Relay;

pub(crate) use outbox::write_down;
