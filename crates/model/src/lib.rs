//! The words every other crate speaks. Pure data: no clocks, no I/O, no async.
//!
//! What is written to the journal carries a version `v`; readers refuse what is newer than they
//! know, so an old process never misreads a new one's document.

mod chunks;
mod form;
mod hint;
mod ids;
mod job;
pub mod layout;
mod manifest;
mod plan;
mod receipt;
mod scope;
mod selection;
mod version;

pub use chunks::Chunks;
pub use form::Form;
pub use hint::{Hint, Lane};
pub use ids::{AttemptId, ChunkId, InvalidId, JobId, JobRef, TenantId};
pub use job::{JobRecord, JobState, Tombstone, TombstoneReason, WrongState};
pub use manifest::{Manifest, ManifestFile, ManifestPage};
pub use plan::{CHUNKS_PER_PAGE, PlanPage, PlannedChunk, Sealed, Slice, Work};
pub use receipt::{Notes, NotesOf, Packed, Receipt, SeverityCount, WrittenFile};
pub use scope::{Scope, Snapshot};
pub use selection::{Associated, Selection};
pub use version::{DOCUMENT_VERSION, Version};

/// How much: resources and bytes of NDJSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Lines.
    pub resources: u64,
    /// Bytes, newlines included.
    pub bytes: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.resources += more.resources;
        self.bytes += more.bytes;
    }
}
