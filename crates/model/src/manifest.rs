//! The stored manifest: the commit of a job. Links are made from it each time it is served.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Instant, Issue};

use crate::{Version, WrittenFile};

/// One file of the manifest.
pub type ManifestFile = WrittenFile;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The document's version.
    pub v: Version,
    /// T, copied from the job.
    pub transaction_time: Instant,
    /// The kick-off URL.
    pub request: String,
    /// The data, in plan order.
    pub output: Vec<ManifestFile>,
    /// Files of OperationOutcome lines: errors, warnings and remarks.
    pub error: Vec<ManifestFile>,
    /// When the job ended.
    pub completed_at: Instant,
    /// When its files go.
    pub expires_at: Instant,
    /// Why the job failed as a whole; nothing is then listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Issue>,
}
