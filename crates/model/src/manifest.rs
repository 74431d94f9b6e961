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
    /// Files of Bundles that name what was deleted, in plan order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<ManifestFile>,
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

impl Manifest {
    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.output.iter().chain(&self.deleted).chain(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{PlannedChunk, Receipt};

    fn file(kind: &str) -> Value {
        json!({ "type": kind, "key": kind, "count": 2, "bytes": 30, "sha256": "00" })
    }

    fn read<T: for<'de> Deserialize<'de>>(document: &Value) -> T {
        serde_json::from_value(document.clone()).unwrap()
    }

    /// A running job goes on over an upgrade, and an ended one is served after it.
    #[test]
    fn documents_from_before_deletions_read_and_write_as_they_did() {
        let chunk = json!({
            "slice": { "types": ["Patient"], "range": "0-9" },
            "expected": { "resources": 9, "bytes": 90 },
        });
        let read_chunk: PlannedChunk = read(&chunk);
        assert!(!read_chunk.slice.deleted);
        assert_eq!(serde_json::to_value(&read_chunk).unwrap(), chunk);

        let receipt = json!({
            "v": 1, "chunk": "00001-00", "attempt": "00ff00ff00ff00ff", "files": [file("Patient")],
        });
        let read_receipt: Receipt = read(&receipt);
        assert!(read_receipt.deleted.is_empty());
        assert_eq!(serde_json::to_value(&read_receipt).unwrap(), receipt);

        let manifest = json!({
            "v": 1, "transaction_time": "2026-03-01T00:00:00.000000000Z", "request": "http://h/$export",
            "output": [file("Patient")], "error": [],
            "completed_at": "2026-03-01T00:00:00.000000000Z", "expires_at": "2026-03-02T00:00:00.000000000Z",
        });
        let read_manifest: Manifest = read(&manifest);
        assert!(read_manifest.deleted.is_empty());
        assert_eq!(serde_json::to_value(&read_manifest).unwrap(), manifest);
    }

    #[test]
    fn bundles_are_among_the_files_and_not_among_the_resources() {
        let receipt: Receipt = read(&json!({
            "v": 1, "chunk": "00001-00", "attempt": "00ff00ff00ff00ff",
            "files": [file("Patient")], "deleted": [file("Bundle")],
        }));
        let tally = receipt.tally();
        assert_eq!((tally.resources, tally.bytes), (2, 60));
        let manifest: Manifest = read(&json!({
            "v": 1, "transaction_time": "2026-03-01T00:00:00.000000000Z", "request": "http://h/$export",
            "output": [file("Patient")], "deleted": [file("Bundle")],
            "error": [file("OperationOutcome")],
            "completed_at": "2026-03-01T00:00:00.000000000Z", "expires_at": "2026-03-02T00:00:00.000000000Z",
        }));
        let named: Vec<&str> = manifest.files().map(|file| file.key.as_str()).collect();
        assert_eq!(named, ["Patient", "Bundle", "OperationOutcome"]);
    }
}
