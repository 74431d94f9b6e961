//! How a client wants the files of its export, and the answers about it.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Guide, ResourceType};

/// Settled at kick-off: later requests for the job say nothing of it (T-038).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// `Prefer: separate-export-status`: the HTTP status is about the poll alone (R-108).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub separate_status: bool,
    /// `_minimumFileSize`, in bytes of NDJSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_file: Option<u64>,
    /// `_maximumFileSize`, in bytes of NDJSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_file: Option<u64>,
    /// Whose form the manifest has.
    #[serde(default, skip_serializing_if = "Guide::is_third")]
    pub guide: Guide,
    /// `allowPartialManifests`: files are offered while the job runs, page by page (R-088).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// `organizeOutputBy`: files hold a block for each resource of this type (R-085).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organize: Option<ResourceType>,
}

/// The most that a wish for large files makes of a chunk, which must end well within a worker's time.
const LARGEST_CHUNK: u64 = 1 << 30;

impl Form {
    /// Whether it is what clients get that ask for nothing.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Bytes that a file may have, where the tenant's files have `usual` (R-096).
    pub fn file_bytes(&self, usual: u64) -> u64 {
        let wanted = usual.max(self.minimum_file.unwrap_or(0));
        wanted.min(self.maximum_file.unwrap_or(u64::MAX))
    }

    /// Bytes that a chunk aims at, where the tenant's aim at `usual`: no file is larger than its chunk (R-097).
    pub fn chunk_bytes(&self, usual: u64) -> u64 {
        let wanted = self.minimum_file.unwrap_or(0).min(LARGEST_CHUNK);
        usual.max(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_096_r_097_the_maximum_holds_and_the_minimum_is_aimed_at() {
        let form = |minimum_file, maximum_file| Form {
            minimum_file,
            maximum_file,
            ..Form::default()
        };
        assert_eq!(form(None, None).file_bytes(100), 100);
        assert_eq!(form(None, Some(50)).file_bytes(100), 50);
        assert_eq!(form(None, Some(500)).file_bytes(100), 100);
        let large = form(Some(300), Some(500));
        assert_eq!((large.file_bytes(100), large.chunk_bytes(100)), (300, 300));
        assert_eq!(form(Some(50), None).chunk_bytes(100), 100);
        assert_eq!(form(Some(u64::MAX), None).chunk_bytes(100), LARGEST_CHUNK);
    }

    #[test]
    fn a_job_of_the_ballot_is_none_of_the_first_version() {
        let ballot = Form {
            guide: Guide::Ballot,
            ..Form::default()
        };
        let text = serde_json::to_string(&ballot).unwrap();
        assert_eq!(text, r#"{"guide":"4.0.0-ballot"}"#);
        assert_eq!(serde_json::from_str::<Form>(&text).unwrap(), ballot);
        assert!(!ballot.is_plain());
    }

    #[test]
    fn a_plain_form_takes_no_room() {
        assert_eq!(serde_json::to_string(&Form::default()).unwrap(), "{}");
        assert!(Form::default().is_plain());
    }

    /// R-085: who would not know of blocks must not touch the job.
    #[test]
    fn a_job_of_blocks_is_none_of_the_first_version() {
        let organized: Form = serde_json::from_str(r#"{"organize":"Patient"}"#).unwrap();
        assert_eq!(organized.organize, Some(ResourceType::PATIENT));
        assert!(!organized.is_plain());
        let text = serde_json::to_string(&organized).unwrap();
        assert_eq!(text, r#"{"organize":"Patient"}"#);
    }

    /// R-088: who would not know of pages must not touch the job.
    #[test]
    fn a_job_with_pages_is_none_of_the_first_version() {
        let partial: Form = serde_json::from_str(r#"{"partial":true}"#).unwrap();
        assert!(partial.partial);
        let version = crate::Version::lowest(partial.is_plain());
        assert_eq!(version, crate::Version::SECOND);
        let text = serde_json::to_string(&partial).unwrap();
        assert_eq!(text, r#"{"partial":true}"#);
    }
}
