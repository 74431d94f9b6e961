//! What the engine needs from the outside world, as small traits.
//!
//! Each port has a conformance suite in [`conformance`]; an adapter is one when it passes.

mod audit_sink;
mod blobs;
mod clock;
pub mod conformance;
mod deletions;
mod entropy;
mod error;
mod finding;
mod index;
mod key_fetch;
mod queue;
mod reading;
mod source;
mod spans;

pub use audit_sink::AuditSink;
pub use blobs::{BlobInfo, BlobWriter, Blobs, ByteStream, Creation, Link};
pub use clock::Clock;
pub use deletions::DeletedBundles;
pub use entropy::Entropy;
pub use error::{PortError, PortKind};
pub use finding::{Finding, Severity};
pub use index::{ChunkDone, HandedOut, Index, JobInside, JobStatus, Lease, Planned, Rate, Stale};
pub use key_fetch::{FetchedKeys, KeyFetch};
pub use queue::{Delivery, Message, Queue, Settle, Settled};
pub use reading::{BLOCK, Outlet, Unheard, blocks_of};
pub use source::{Block, BlockStream, GroupPage, GroupQuery, PlanStep, PopulationError, Source};
pub use spans::{chunk_of, deletions_of, foreign, spans_of};
