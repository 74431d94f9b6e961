//! What a job may read, settled at kick-off and handed to the source with every call.

use serde::{Deserialize, Serialize};
use sluice_fhir::{Instant, Level, ResourceType, compartment};

use crate::Selection;

/// The state of the source that a job sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// T, the manifest's transactionTime: from the source's clock, floored to milliseconds.
    pub time: Instant,
    /// What the source needs to find this state again; opaque to everyone else.
    pub token: String,
}

/// Whose data, of which types, changed when. Every worker gets the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Whose data.
    pub level: Level,
    /// The types, sorted; resolved at kick-off, so never empty.
    pub types: Vec<ResourceType>,
    /// Only what changed later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// Only what changed earlier than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// Only these patients, by id, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patients: Option<Vec<String>>,
    /// What is chosen of all that. A source may leave out what is not chosen; whoever reads it chooses again.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub selection: Selection,
    /// The state of the source that every chunk reads.
    pub snapshot: Snapshot,
}

impl Scope {
    /// Whether it is everything there is.
    pub fn is_whole(&self) -> bool {
        self.level == Level::System && self.patients.is_none()
    }

    /// The types of it that an export may hold at its level.
    pub fn exportable(&self) -> Vec<ResourceType> {
        let may = |kind: &ResourceType| {
            if self.is_whole() {
                kind.is_exportable()
            } else {
                compartment::is_exportable(*kind)
            }
        };
        self.types.iter().copied().filter(may).collect()
    }

    /// Whether a time of last change lies between `_since` and `_until`, both exclusive (T-025,
    /// T-026). Unknown times always do.
    pub fn admits(&self, updated: Option<Instant>) -> bool {
        let Some(updated) = updated else { return true };
        self.since.is_none_or(|since| updated > since)
            && self.until.is_none_or(|until| updated < until)
    }
}
