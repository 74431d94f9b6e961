//! The plan of a job: pages of chunks, written one by one and then sealed.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Issue, ResourceType};

use crate::{ChunkId, Tally, Version};

/// Chunks on every page but the last. Fixed for ever: chunk numbers are made from it.
pub const CHUNKS_PER_PAGE: u32 = 64;

/// The part of the source that one chunk reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slice {
    /// The types it may yield; several small ones share a chunk, never a file.
    pub types: Vec<ResourceType>,
    /// A source-defined range; opaque to everyone but the source.
    pub range: String,
    /// Whether its lines are Bundles that name what was deleted, of these types, instead of
    /// resources of these types. Only an export with `_since` has such (T-032).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// What a chunk does with its slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Exports its resources as they come.
    #[default]
    Read,
    /// Exports each of its Patients together with what is in the Patient's compartment.
    Organize,
    /// Writes nothing but notes: what its Provenances are about.
    Survey {
        /// Its number among those that do, from 0.
        survey: u32,
    },
    /// Reads nothing of the source: holds what was exported against what surveys noted, for all whose hashes
    /// begin with numbers from one up to before another.
    Match {
        /// The first.
        from: u32,
        /// The first that is not.
        to: u32,
    },
    /// Exports those of its Provenances that were matched.
    Attach {
        /// Which survey read the same slice.
        survey: u32,
    },
}

impl Work {
    /// Whether it is the one that needs no word.
    pub fn is_read(&self) -> bool {
        *self == Self::Read
    }
}

/// One chunk of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChunk {
    /// What it reads.
    pub slice: Slice,
    /// What it does with that. Sources plan reading only.
    #[serde(default, skip_serializing_if = "Work::is_read")]
    pub work: Work,
    /// How much the source expects; for progress only.
    pub expected: Tally,
}

/// `plan/00001.json`: one page, written before any of its chunks is dispatched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPage {
    /// The document's version.
    pub v: Version,
    /// Its number, from 1.
    pub page: u32,
    /// Its chunks, [`CHUNKS_PER_PAGE`] on every page but the last.
    pub chunks: Vec<PlannedChunk>,
    /// Where the source goes on planning; `None` on the last page.
    pub next: Option<String>,
    /// Expected by this page and all before it.
    pub expected_so_far: Tally,
    /// Chunks before which all earlier ones must have ended, by their numbers, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barriers: Vec<u32>,
}

impl PlanPage {
    /// The chunks up to and including this page.
    pub fn chunks_so_far(&self) -> u32 {
        let here = u32::try_from(self.chunks.len()).unwrap_or(CHUNKS_PER_PAGE);
        self.page.saturating_sub(1) * CHUNKS_PER_PAGE + here
    }

    /// The chunk with this id, if it is on this page.
    pub fn chunk(&self, id: ChunkId) -> Option<&PlannedChunk> {
        let index = usize::try_from(id.index).ok()?;
        self.chunks.get(index).filter(|_| id.page == self.page)
    }
}

/// `plan/sealed.json`: nothing will be added; only now may the job complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The document's version.
    pub v: Version,
    /// Pages of the plan.
    pub pages: u32,
    /// Chunks of the plan.
    pub chunks: u32,
    /// What they are expected to yield.
    pub expected: Tally,
    /// Chunks before which all earlier ones must have ended, by their numbers, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barriers: Vec<u32>,
    /// The source's remarks on this export, for the `error` files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
}
