//! The version that every journal document and message carries.

use serde::{Deserialize, Deserializer, Serialize};

/// What this build writes.
pub const DOCUMENT_VERSION: u32 = 1;

/// A document's version, known to be readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Version(u32);

impl Default for Version {
    fn default() -> Self {
        Self(DOCUMENT_VERSION)
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
        assert!(serde_json::from_str::<Version>("2").is_err());
    }
}
