//! Which version of the guide an export is asked for, and answered, by.

use serde::{Deserialize, Serialize};

/// A version, by what differs on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guide {
    /// 3.0.0, and what clients of 2.0.0 and 1.0.1 know of it: `$export`.
    #[default]
    #[serde(rename = "3")]
    Third,
    /// 4.0.0-ballot: `$export-v4` (R-213, T-054).
    #[serde(rename = "4.0.0-ballot")]
    Ballot,
}

impl Guide {
    /// Whether it is the one that clients get that ask for none.
    pub fn is_third(&self) -> bool {
        *self == Self::Third
    }

    /// What the names of its operations have at the end.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Third => "",
            Self::Ballot => "-v4",
        }
    }
}
