//! `_elements`: which root elements of a resource are asked for, and resources trimmed to them as raw JSON.
//!
//! Which elements there are, and which are mandatory, is read from `elements.txt`, made from HL7's
//! definitions of R4.

mod definitions;
mod trim;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{ResourceType, shown};

pub use trim::{Trim, TrimScratch};

/// Elements that a trimmed resource keeps although R4 lets them be absent: what a resource is, and what
/// changes the meaning of the rest of it.
const KEPT: [&str; 5] = [
    "resourceType",
    "id",
    "meta",
    "implicitRules",
    "modifierExtension",
];

/// What was asked for by `_elements`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elements(BTreeSet<Asked>);

/// One element, of a type or of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Asked {
    /// Every type, if it is absent.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<ResourceType>,
    /// As R4 names it, `value` for `value[x]`; or as JSON does, `valueQuantity`.
    element: String,
}

/// An entry that names no root element.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownElement(String);

impl Elements {
    /// Whether nothing is asked for, so that resources stay whole.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `Type.element` or `element` (R-059).
    pub fn add(&mut self, entry: &str) -> Result<(), UnknownElement> {
        let shown = shown(entry);
        let wrong = |why: &str| {
            Err(UnknownElement(format!(
                "_elements contains {shown:?}, {why}"
            )))
        };
        let (kind, element) = match entry.split_once('.') {
            Some((name, element)) if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                let Ok(kind) = name.parse::<ResourceType>() else {
                    return wrong("which begins with no resource type of FHIR R4");
                };
                (Some(kind), element)
            }
            _ => (None, entry),
        };
        if element.contains('.') {
            return wrong("but only elements at the root of a resource can be asked for");
        }
        let element = element.strip_suffix("[x]").unwrap_or(element).to_owned();
        let is_of = |kind: ResourceType| {
            KEPT.contains(&&*element)
                || definitions::of(kind)
                    .iter()
                    .any(|found| found.is_called(&element))
        };
        let is_known = match kind {
            Some(kind) => is_of(kind),
            None => ResourceType::all().any(is_of),
        };
        if !is_known {
            return wrong(if kind.is_some() {
                "which is no element of that type in FHIR R4"
            } else {
                "which is no element of any type of FHIR R4"
            });
        }
        self.0.insert(Asked { kind, element });
        Ok(())
    }

    /// How resources of a type are trimmed; `None` if they stay whole, for nothing is asked that concerns them.
    pub fn of(&self, kind: ResourceType) -> Option<Trim> {
        let concerns = |asked: &&Asked| asked.kind.is_none_or(|only| only == kind);
        let asked: Vec<&Asked> = self.0.iter().filter(concerns).collect();
        if asked.is_empty() {
            return None;
        }
        let mut names: Vec<String> = KEPT.map(str::to_owned).to_vec();
        for element in definitions::of(kind) {
            if element.is_mandatory {
                names.extend(element.json_names());
                continue;
            }
            let wanted = asked
                .iter()
                .filter(|asked| element.is_called(&asked.element));
            for asked in wanted {
                names.extend(element.names_for(&asked.element));
            }
        }
        Some(Trim::to(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Filter, Matcher, Scratch};

    fn trimmed(asked: &[&str], line: &str) -> String {
        let mut elements = Elements::default();
        for entry in asked {
            elements.add(entry).unwrap();
        }
        let kind = line.split('"').nth(3).unwrap().parse().unwrap();
        let mut out = Vec::new();
        match elements.of(kind) {
            Some(trim) => assert!(
                trim.line(line, None, &mut TrimScratch::default(), &mut out)
                    .unwrap()
            ),
            None => out.extend_from_slice(line.as_bytes()),
        }
        String::from_utf8(out).unwrap()
    }

    const TAG: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

    #[test]
    fn r_058_r_060_r_061_only_what_is_asked_and_what_must_be_there() {
        let line = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"note":[],"valueQuantity":{"value":1},"_issued":{},"issued":"2026"}"#;
        let want = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"value":1},"meta":{"tag":[TAG]}}"#;
        for asked in ["value", "value[x]", "Observation.valueQuantity"] {
            assert_eq!(trimmed(&[asked], line), want.replace("TAG", TAG), "{asked}");
        }
        assert!(trimmed(&["issued"], line).contains(r#""_issued":{},"issued":"2026""#));
        assert!(!trimmed(&["valueString"], line).contains("valueQuantity"));
    }

    /// One walk for queries and elements finds what a walk of their own would, wherever in a resource they ask.
    #[test]
    fn r_076_r_058_queries_and_elements_share_a_walk() {
        let line = r#"{"resourceType":"Observation","meta":{"tag":[{"system":"t","code":"x"}]},"id":"o","status":"final","code":{"coding":[{"system":"s","code":"c"}]},"subject":{"reference":"Patient/1"},"component":[{"code":{"coding":[{"code":"in"}]}}],"valueQuantity":{"value":1},"issued":"2026"}"#;
        let mut elements = Elements::default();
        elements.add("issued").unwrap();
        let trim = elements.of("Observation".parse().unwrap()).unwrap();
        let alone = trimmed(&["issued"], line);
        for query in [
            "status=final",
            "status=amended",
            "_tag=t|x",
            "_tag=t|y",
            "combo-code=in",
            "combo-code=out",
            "patient=1&value-quantity=gt0",
            "patient=2",
            "date:missing=true",
            "code=s|c&status=final,amended",
        ] {
            let filter = Filter::compile(&format!("Observation?{query}"), "").unwrap();
            let matcher = Matcher::new([&filter]);
            let is_met = matcher.matches(line, &mut Scratch::default()).unwrap();
            let mut out = Vec::new();
            let scratch = &mut TrimScratch::default();
            let is_left = trim.line(line, Some(&matcher), scratch, &mut out).unwrap();
            assert_eq!(is_left, is_met, "{query}");
            let expected = if is_met { alone.as_str() } else { "" };
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn r_059_a_type_in_front_concerns_that_type_alone() {
        let line = r#"{"resourceType":"Patient","id":"p","gender":"male","birthDate":"2000"}"#;
        assert_eq!(trimmed(&["Observation.code"], line), line);
        assert!(!trimmed(&["Patient.gender"], line).contains("birthDate"));
        assert!(!trimmed(&["code"], line).contains("birthDate"));
    }

    #[test]
    fn a_resource_that_loses_nothing_is_not_tagged() {
        let line = r#"{"resourceType":"Patient","id":"p","gender":"male"}"#;
        assert_eq!(trimmed(&["gender"], line), line);
    }

    #[test]
    fn t_065_the_tag_joins_others_once() {
        let with = |meta: &str| {
            let line =
                format!(r#"{{"resourceType":"Patient","meta":{meta},"id":"p","gender":"male"}}"#);
            trimmed(&["id"], &line).replace(TAG, "TAG")
        };
        let want = |meta: &str| format!(r#"{{"resourceType":"Patient","meta":{meta},"id":"p"}}"#);
        assert_eq!(
            with("null"),
            r#"{"resourceType":"Patient","id":"p","meta":{"tag":[TAG]}}"#
        );
        assert_eq!(with("{}"), want(r#"{"tag":[TAG]}"#));
        assert_eq!(
            with(r#"{"versionId":"1"}"#),
            want(r#"{"versionId":"1","tag":[TAG]}"#)
        );
        assert_eq!(
            with(r#"{"tag":[],"versionId":"1"}"#),
            want(r#"{"tag":[TAG],"versionId":"1"}"#)
        );
        assert_eq!(
            with(r#"{"tag":[{"code":"a"}]}"#),
            want(r#"{"tag":[{"code":"a"},TAG]}"#)
        );
        assert_eq!(
            with(&format!(r#"{{"tag":[{TAG}]}}"#)),
            want(r#"{"tag":[TAG]}"#)
        );
    }

    #[test]
    fn what_is_no_root_element_is_refused() {
        let refused = |entry: &str| Elements::default().add(entry).unwrap_err().to_string();
        assert!(refused("Patient.name.family").contains("root"));
        assert!(refused("name.family").contains("root"));
        assert!(refused("Foo.name").contains("resource type"));
        assert!(refused("Patient.status").contains("that type"));
        assert!(refused("colour").contains("any type"));
    }

    #[test]
    fn what_was_asked_is_read_as_it_was_written() {
        let mut elements = Elements::default();
        for entry in ["Patient.name", "id", "value[x]"] {
            elements.add(entry).unwrap();
        }
        let text = serde_json::to_string(&elements).unwrap();
        assert_eq!(serde_json::from_str::<Elements>(&text).unwrap(), elements);
        assert!(Elements::default().is_empty() && !elements.is_empty());
    }
}
