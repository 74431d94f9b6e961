//! The version that every journal document and message carries.

use serde::{Deserialize, Deserializer, Serialize};

/// The newest that this build reads and writes.
pub const DOCUMENT_VERSION: u32 = 2;

/// A document's version, known to be readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Version(u32);

impl Version {
    /// Of documents that every build so far understands.
    pub const FIRST: Self = Self(1);
    /// Of documents whose meaning a build of version 1 would miss: a job that chooses among resources or wants
    /// its answer in another form, a receipt or manifest that has more than files of data and errors.
    pub const SECOND: Self = Self(2);

    /// The lowest version whose builds do not misread a document.
    pub const fn lowest(is_plain: bool) -> Self {
        if is_plain { Self::FIRST } else { Self::SECOND }
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::FIRST
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = u32::deserialize(deserializer)?;
        if found == 0 || found > DOCUMENT_VERSION {
            let text = format!(
                "document version {found} is newer than this build, which reads {DOCUMENT_VERSION}"
            );
            return Err(serde::de::Error::custom(text));
        }
        Ok(Self(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_document_is_refused_rather_than_misread() {
        assert!(serde_json::from_str::<Version>("1").is_ok());
        assert!(serde_json::from_str::<Version>("2").is_ok());
        assert!(serde_json::from_str::<Version>("3").is_err());
    }
}
