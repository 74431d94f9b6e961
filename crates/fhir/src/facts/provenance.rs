//! What a Provenance is about and how new it is, and which resource a line is: read where nothing else is asked.

use std::borrow::Cow;

use serde::Deserialize;

use super::scan::{Target, target};
use crate::Instant;

/// What is known of a Provenance by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceFacts {
    /// Its id.
    pub id: String,
    /// `recorded`, if it can be read.
    pub recorded: Option<Instant>,
    /// `meta.lastUpdated`, if it can be read.
    pub updated: Option<Instant>,
    /// What it is about, by literal references.
    pub targets: Vec<Target>,
}

/// A line that is no resource. What is wrong is not told: it is a patient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is no resource with an id")]
pub struct NoResource;

#[derive(Deserialize)]
struct Identity<'l> {
    #[serde(borrow)]
    id: Cow<'l, str>,
}

#[derive(Deserialize)]
struct Provenance<'l> {
    #[serde(borrow)]
    id: Cow<'l, str>,
    #[serde(borrow, default)]
    recorded: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    meta: Option<Meta<'l>>,
    #[serde(borrow, default)]
    target: Vec<About<'l>>,
}

#[derive(Deserialize)]
struct Meta<'l> {
    #[serde(borrow, default, rename = "lastUpdated")]
    updated: Option<Cow<'l, str>>,
}

#[derive(Deserialize)]
struct About<'l> {
    #[serde(borrow, default)]
    reference: Option<Cow<'l, str>>,
}

/// The id of a resource.
pub fn identity(line: &str) -> Result<Cow<'_, str>, NoResource> {
    let identity: Identity<'_> = serde_json::from_str(line).map_err(|_| NoResource)?;
    Ok(identity.id)
}

/// Reads a Provenance.
pub fn provenance(line: &str) -> Result<ProvenanceFacts, NoResource> {
    let read: Provenance<'_> = serde_json::from_str(line).map_err(|_| NoResource)?;
    let instant = |text: Option<Cow<'_, str>>| text.and_then(|text| text.parse().ok());
    let references = read.target.into_iter().filter_map(|about| about.reference);
    let mut targets: Vec<Target> = references.filter_map(|text| target(&text)).collect();
    targets.sort_unstable();
    targets.dedup();
    Ok(ProvenanceFacts {
        id: read.id.into_owned(),
        recorded: instant(read.recorded),
        updated: instant(read.meta.and_then(|meta| meta.updated)),
        targets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provenance_says_what_it_is_about_once_each() {
        let line = r#"{"resourceType":"Provenance","target":[{"reference":"Observation/o/_history/2"},
            {"reference":"Observation/o"},{"reference":"Group/g"},{"display":"x"},{"reference":"urn:uuid:u"}],
            "recorded":"2026-01-01T00:00:00.5+01:00","id":"p\u0031"}"#;
        let facts = provenance(line).unwrap();
        let about: Vec<_> = facts
            .targets
            .iter()
            .map(|target| target.id.as_str())
            .collect();
        assert_eq!(about, ["u", "g", "o"]);
        assert_eq!(facts.recorded, "2025-12-31T23:00:00.5Z".parse().ok());
        assert_eq!((facts.id.as_str(), facts.updated), ("p1", None));
        assert_eq!(identity(line).unwrap(), "p1");
    }

    #[test]
    fn what_is_no_resource_is_not_told() {
        for line in ["", "[]", "{\"secret\":1}", "{\"id\":5}"] {
            assert_eq!(identity(line), Err(NoResource));
            assert!(!provenance(line).unwrap_err().to_string().contains("secret"));
        }
    }
}
