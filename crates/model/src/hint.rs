//! What travels on the queue: names only, never patient data (design rule 9).

use serde::{Deserialize, Serialize};

use crate::{ChunkId, JobRef};

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Read by coordinators.
    Jobs,
    /// Read by workers.
    Chunks,
    /// What nobody could handle; read by coordinators, so that no job hangs on it.
    Dead,
}

impl Lane {
    /// Its word, in names and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Chunks => "chunks",
            Self::Dead => "dead",
        }
    }
}

/// A hint that something may be due. Losing or repeating one is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// Look at this job: plan it, dispatch it, finish it or remove it, whichever is due.
    AdvanceJob(JobRef),
    /// Export this chunk.
    ExportChunk(JobRef, ChunkId),
}

impl Hint {
    /// The queue it belongs on.
    pub fn lane(&self) -> Lane {
        match self {
            Self::AdvanceJob(_) => Lane::Jobs,
            Self::ExportChunk(..) => Lane::Chunks,
        }
    }
}
