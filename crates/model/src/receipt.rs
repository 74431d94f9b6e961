//! The receipt of a chunk: the first one written is the commit.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Issue, ResourceType, Severity};

use crate::{AttemptId, ChunkId, Tally, Version};

/// A finished data file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// The type of every line; where files are organized by a type, that one.
    #[serde(rename = "type")]
    pub kind: ResourceType,
    /// Its object key.
    pub key: String,
    /// Lines in it.
    pub count: u64,
    /// Bytes of NDJSON in it.
    pub bytes: u64,
    /// SHA-256 of those bytes, lower-case hex.
    pub sha256: String,
    /// What it is stored as, if that is gzip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gzip: Option<Packed>,
    /// Issues of each severity in it, if it holds outcomes and the manifest tells of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<SeverityCount>,
    /// The object key of the file that goes on with its last block, if that block goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues_in: Option<String>,
}

/// How many issues of a file have a severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityCount {
    /// Which.
    pub code: Severity,
    /// At least one.
    pub count: u64,
}

/// What a file amounts to as it is stored, where that is not its NDJSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Bytes of gzip.
    pub bytes: u64,
    /// SHA-256 of those bytes, lower-case hex.
    pub sha256: String,
}

/// An object that only other chunks read; it goes when the job has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Its key.
    pub key: String,
    /// What it tells.
    pub of: NotesOf,
}

/// What notes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotesOf {
    /// Which resources the chunk exported.
    Exported,
    /// What its Provenances are about.
    About {
        /// The number of the survey.
        survey: u32,
    },
    /// Which Provenances come along, by survey.
    Matched {
        /// How many surveys it tells of, from the first.
        surveys: u32,
    },
}

/// `receipt/{chunk}`: which files hold the chunk, or why none do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The document's version.
    pub v: Version,
    /// The chunk.
    pub chunk: ChunkId,
    /// The try that won.
    pub attempt: AttemptId,
    /// The files, in the order written.
    pub files: Vec<WrittenFile>,
    /// Files of Bundles that name what was deleted, in the order written. A chunk has these or
    /// `files`, never both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<WrittenFile>,
    /// What its source told while it was read, for the `error` files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
    /// What it noted for chunks that wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
    /// Bytes of what was planned, where that is not what is written: of a chunk that writes what belongs to its
    /// resources besides them. Progress is counted by these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_bytes: Option<u64>,
    /// Why the chunk was given up; it then has no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Issue>,
}

impl Receipt {
    /// What the chunk yielded, in the bytes that were expected of it. What names deleted resources is bytes, but no resources.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for file in &self.files {
            sum += Tally {
                resources: file.count,
                bytes: file.bytes,
            };
        }
        for file in &self.deleted {
            sum.bytes += file.bytes;
        }
        sum.bytes = self.planned_bytes.unwrap_or(sum.bytes);
        sum
    }
}
