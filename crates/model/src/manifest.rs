//! The stored manifest: the commit of a job, and the pages of it that are offered before. Links are made
//! from them each time they are served.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Instant, Issue, ResourceType};

use crate::{Chunks, Version, WrittenFile};

/// One file of the manifest.
pub type ManifestFile = WrittenFile;

/// `manifest.json`: all files of the job, or of one with pages before it, all that these do not name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The document's version.
    pub v: Version,
    /// T, copied from the job.
    pub transaction_time: Instant,
    /// The kick-off URL.
    pub request: String,
    /// By the resources of which type its data is organized in blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organized_by: Option<ResourceType>,
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
    /// How many [`ManifestPage`]s go before it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pages_before: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Manifest {
    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.output.iter().chain(&self.deleted).chain(&self.error)
    }
}

/// `manifest/00001.json`: files that are offered while the job runs. Never changed once it is
/// there, and nothing that it names is named again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPage {
    /// The document's version.
    pub v: Version,
    /// Its number, from 1.
    pub page: u32,
    /// T, copied from the job.
    pub transaction_time: Instant,
    /// The kick-off URL.
    pub request: String,
    /// By the resources of which type its data is organized in blocks, on every page the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organized_by: Option<ResourceType>,
    /// Data, in plan order.
    pub output: Vec<ManifestFile>,
    /// Files of Bundles that name what was deleted, in plan order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<ManifestFile>,
    /// Files of OperationOutcome lines, the same on every page.
    pub error: Vec<ManifestFile>,
    /// The chunks whose files it and all pages before it name.
    pub held: Chunks,
    /// When it was written.
    pub offered_at: Instant,
    /// Whether it is no page but the end of them: it names no data, and `manifest.json` goes on where
    /// the page before it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_end: bool,
}

impl ManifestPage {
    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.output.iter().chain(&self.deleted).chain(&self.error)
    }

    /// As it is served while its files stay until a time.
    pub fn until(&self, expires_at: Instant) -> Manifest {
        Manifest {
            v: self.v,
            transaction_time: self.transaction_time,
            request: self.request.clone(),
            organized_by: self.organized_by,
            output: self.output.clone(),
            deleted: self.deleted.clone(),
            error: self.error.clone(),
            completed_at: self.offered_at,
            expires_at,
            failure: None,
            pages_before: self.page.saturating_sub(1),
        }
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
        assert_eq!(read_manifest.pages_before, 0);
        assert_eq!(serde_json::to_value(&read_manifest).unwrap(), manifest);
    }

    #[test]
    fn a_page_reads_back_and_is_served_as_a_manifest() {
        let page = json!({
            "v": 2, "page": 2, "transaction_time": "2026-03-01T00:00:00.000000000Z",
            "request": "http://h/$export", "output": [file("Patient")], "error": [file("OperationOutcome")],
            "held": [[0, 5], [7, 9]], "offered_at": "2026-03-01T00:01:00.000000000Z",
        });
        let read_page: ManifestPage = read(&page);
        assert!(!read_page.is_end && read_page.held.len() == 7);
        assert_eq!(serde_json::to_value(&read_page).unwrap(), page);
        let until = Instant::from_millis(1);
        let served = read_page.until(until);
        assert!(served.files().eq(read_page.files()));
        assert_eq!((served.expires_at, served.pages_before), (until, 1));
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
