//! Searches of references: by id, by type and id, by URL, or by the identifier that stands for them.

use serde::{Deserialize, Serialize};

use super::leaf::{self, Text, text};
use super::place::{Datatype, Place};
use super::token::TokenTest;
use crate::{Reference, ResourceType, is_id};

/// What a reference should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReferenceTest {
    /// To this id, of any of the types that it may be to; any type if there are none.
    Id {
        /// The id.
        id: String,
        /// The types.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        types: Vec<ResourceType>,
    },
    /// This very text, such as a URL elsewhere.
    Text(String),
    /// `:identifier`.
    Identifier(TokenTest),
}

impl ReferenceTest {
    /// `id`, `Type/id` or an absolute URL; `None` for anything else. `types` are those that it may be to, and
    /// `base` is our own URL.
    pub(super) fn read(value: &str, types: &[ResourceType], base: &str) -> Option<Self> {
        let local = value
            .strip_prefix(base)
            .and_then(|rest| rest.strip_prefix('/'));
        let local = local.unwrap_or(value);
        if is_id(local) {
            let (id, types) = (local.to_owned(), types.to_vec());
            return Some(Self::Id { id, types });
        }
        if local.contains(':') {
            return Some(Self::Text(local.to_owned()));
        }
        let found = Reference::parse(local)?;
        Some(Self::Id {
            id: found.id.to_owned(),
            types: vec![found.resource_type],
        })
    }

    /// Whether a value is what is wanted.
    pub(super) fn matches(&self, place: &Place, json: &str) -> bool {
        self.in_value(place, json).unwrap_or(false)
    }

    fn in_value(&self, place: &Place, json: &str) -> Option<bool> {
        if place.datatype != Datatype::Reference {
            let Text(found) = leaf::read(json)?;
            return Some(
                self.fits(&found, &[]) || {
                    let versioned = found.split_once('|');
                    versioned.is_some_and(|(url, _)| self.fits(url, &[]))
                },
            );
        }
        let found: leaf::Reference<'_> = leaf::read(json)?;
        Some(match self {
            Self::Identifier(wanted) => wanted.is_identifier(found.identifier.as_ref()?),
            _ => self.fits(text(found.reference.as_ref())?, &place.targets),
        })
    }

    fn fits(&self, found: &str, only: &[ResourceType]) -> bool {
        match self {
            Self::Text(wanted) => {
                let current = found.split_once("/_history/");
                found == wanted || current.is_some_and(|(found, _)| found == wanted)
            }
            Self::Id { id, types } => {
                if let Some(own) = found.strip_prefix("urn:uuid:") {
                    return own == id;
                }
                let Some(found) = Reference::parse(found) else {
                    return false;
                };
                let kind = found.resource_type;
                found.id == id
                    && (types.is_empty() || types.contains(&kind))
                    && (only.is_empty() || only.contains(&kind))
            }
            Self::Identifier(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: ResourceType = ResourceType::PATIENT;

    fn is(wanted: &str, reference: &str) -> bool {
        let place = "subject:Reference".parse().unwrap();
        let types = [PATIENT, ResourceType::GROUP];
        let test = ReferenceTest::read(wanted, &types, "http://h/fhir").unwrap();
        test.matches(&place, &format!(r#"{{"reference":{reference:?}}}"#))
    }

    #[test]
    fn references_match_however_they_are_written() {
        for (wanted, found) in [
            ("1", "Patient/1"),
            ("1", "Group/1"),
            ("Patient/1", "Patient/1/_history/2"),
            ("Patient/1", "http://other/fhir/Patient/1"),
            ("http://h/fhir/Patient/1", "Patient/1"),
            ("http://other/Patient/1", "http://other/Patient/1"),
            (
                "http://other/Patient/1",
                "http://other/Patient/1/_history/2",
            ),
            ("1", "urn:uuid:1"),
            ("urn:uuid:1", "urn:uuid:1"),
        ] {
            assert!(is(wanted, found), "{wanted} {found}");
        }
        for (wanted, found) in [
            ("1", "Patient/2"),
            ("1", "Device/1"),
            ("Group/1", "Patient/1"),
            ("http://other/Patient/1", "Patient/1"),
            ("1", "#1"),
        ] {
            assert!(!is(wanted, found), "{wanted} {found}");
        }
    }

    #[test]
    fn identifiers_stand_for_references() {
        let place = "subject:Reference".parse().unwrap();
        let test = ReferenceTest::Identifier(TokenTest::read("s|v").unwrap());
        assert!(test.matches(&place, r#"{"identifier":{"system":"s","value":"v"}}"#));
        assert!(!test.matches(&place, r#"{"reference":"Patient/v"}"#));
    }
}
