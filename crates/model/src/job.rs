//! A job and the only ways it may change state.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Instant, Issue};

use crate::{Form, JobRef, Scope, Version};

/// `job.json`: everything needed to run the job, written before the client hears 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The document's version.
    pub v: Version,
    /// Its name.
    #[serde(flatten)]
    pub name: JobRef,
    /// The kick-off URL, echoed in the manifest.
    pub url: String,
    /// The client that asked; absent while authorization is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What it reads.
    pub scope: Scope,
    /// How its files and answers should be.
    #[serde(default, skip_serializing_if = "Form::is_plain")]
    pub form: Form,
    /// What lenient handling ignored; told in the `error` files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Issue>,
    /// Names in the index that are its own while it runs: what makes a later request a duplicate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// The W3C `traceparent` of its kick-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When it was accepted.
    pub accepted_at: Instant,
}

/// Why a job was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TombstoneReason {
    /// Its client deleted it.
    Deleted,
    /// Its files outlived their retention.
    Expired,
}

/// `cancel`: from here on the job answers 404 and its objects go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The document's version.
    pub v: Version,
    /// When.
    pub at: Instant,
    /// Why.
    pub reason: TombstoneReason,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Kicked off; not everything is planned yet.
    Accepted,
    /// The plan is sealed; chunks are being exported.
    Exporting,
    /// The manifest is published.
    Complete,
    /// Given up; the manifest says why.
    Failed,
    /// Withdrawn; being removed.
    Cancelled,
}

/// A change of state that the life cycle does not allow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job cannot go from {from:?} to {to:?}")]
pub struct WrongState {
    /// The state it is in.
    pub from: JobState,
    /// The state asked for.
    pub to: JobState,
}

impl JobState {
    /// Checks one step of the life cycle.
    pub fn step(self, to: Self) -> Result<Self, WrongState> {
        use JobState::{Accepted, Cancelled, Complete, Exporting, Failed};
        match (self, to) {
            (Accepted, Exporting | Failed | Cancelled)
            | (Exporting, Complete | Failed | Cancelled)
            | (Complete | Failed, Cancelled) => Ok(to),
            (from, to) => Err(WrongState { from, to }),
        }
    }

    /// Whether chunks may still be exported.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Accepted | Self::Exporting)
    }
}

#[cfg(test)]
mod tests {
    use super::JobState::{Accepted, Cancelled, Complete, Exporting, Failed};

    #[test]
    fn an_ended_job_can_only_be_withdrawn() {
        for from in [Complete, Failed] {
            for to in [Accepted, Exporting, Complete, Failed] {
                assert!(from.step(to).is_err(), "{from:?} -> {to:?}");
            }
            assert_eq!(from.step(Cancelled), Ok(Cancelled));
        }
        for to in [Accepted, Exporting, Complete, Failed, Cancelled] {
            assert!(Cancelled.step(to).is_err());
        }
    }

    #[test]
    fn a_job_completes_only_through_exporting() {
        assert!(Accepted.step(Complete).is_err());
        assert_eq!(Accepted.step(Exporting), Ok(Exporting));
        assert_eq!(Exporting.step(Complete), Ok(Complete));
    }
}
