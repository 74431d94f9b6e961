//! Whose data an export is about.

use serde::{Deserialize, Serialize};

/// The three levels of `$export` (E-01 to E-03).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything the source holds.
    System,
    /// Every patient's compartment.
    Patient,
    /// The compartments of one Group's members; the Group's id.
    Group(String),
}

impl Level {
    /// Its word, without the Group's id.
    pub fn name(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Patient => "patient",
            Self::Group(_) => "group",
        }
    }

    /// Whether the patient compartment bounds the result.
    pub fn is_patient_based(&self) -> bool {
        !matches!(self, Self::System)
    }
}
