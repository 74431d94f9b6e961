//! A source that keeps deletions names, with `_since`, what was deleted, and nothing that is still
//! there. For sources that do not, there is nothing to run.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_fhir::{Instant, Level, ResourceType};
use sluice_model::Scope;

use super::source::{lines, plan, read};
use crate::{PortError, Source};

/// What the source under test had deleted after a time. Names are `Type/id`.
#[derive(Clone, Debug)]
pub struct Deletions {
    /// The time.
    pub since: Instant,
    /// The types that are asked for, those of the names and others.
    pub types: Vec<ResourceType>,
    /// What the system level says.
    pub system: BTreeSet<String>,
    /// What the patient level says.
    pub patients: BTreeSet<String>,
    /// A Group, and what its level says.
    pub group: (String, BTreeSet<String>),
}

/// Runs the suite.
///
/// # Panics
///
/// When the source does not do what a source must.
pub async fn deletions(source: &dyn Source, expected: &Deletions) -> Result<(), PortError> {
    let (group, of_group) = &expected.group;
    let levels = [
        (Level::System, &expected.system),
        (Level::Patient, &expected.patients),
        (Level::Group(group.clone()), of_group),
    ];
    for (level, names) in levels {
        let scope = Scope {
            selection: sluice_model::Selection::default(),
            level,
            types: expected.types.clone(),
            since: Some(expected.since),
            until: None,
            patients: None,
            snapshot: source.snapshot().await?,
        };
        for sizes in [(1, 1), (600, 3), (1 << 30, 64)] {
            names_are(source, &scope, names, sizes).await?;
        }
        for kind in &expected.types {
            let one = Scope {
                types: vec![*kind],
                ..scope.clone()
            };
            let of_kind = |name: &&String| name.starts_with(&format!("{kind}/"));
            let names = names.iter().filter(of_kind).cloned().collect();
            names_are(source, &one, &names, (600, 3)).await?;
        }
    }
    Ok(())
}

/// The names are in Bundles, each once, and in nothing else.
async fn names_are(
    source: &dyn Source,
    scope: &Scope,
    expected: &BTreeSet<String>,
    sizes: (u64, usize),
) -> Result<(), PortError> {
    let (mut deleted, mut output) = (BTreeSet::new(), BTreeSet::new());
    let steps = plan(source, scope, sizes).await?;
    for chunk in steps.into_iter().flat_map(|step| step.chunks) {
        let slice = &chunk.slice;
        let blocks = read(source, scope, slice).await?;
        let again = read(source, scope, slice).await?;
        assert_eq!(blocks, again, "reading is repeatable");
        let lines = lines(&blocks);
        if !slice.deleted {
            assert!(lines.keys().all(|kind| slice.types.contains(kind)));
            output.extend(lines.values().flatten().map(|line| name(line)));
            continue;
        }
        assert!(slice.types.iter().all(|kind| scope.types.contains(kind)));
        assert_eq!(chunk.expected.resources, 0, "deletions are no resources");
        for (kind, lines) in lines {
            assert_eq!(kind, ResourceType::BUNDLE);
            for name in lines.iter().flat_map(|line| names(line)) {
                let of_slice = |kind: &ResourceType| name.starts_with(&format!("{kind}/"));
                assert!(slice.types.iter().any(of_slice), "{name}");
                assert!(deleted.insert(name), "each deletion once");
            }
        }
    }
    assert_eq!(&deleted, expected, "what was deleted, and all of it");
    let both: Vec<&String> = deleted.intersection(&output).collect();
    assert!(both.is_empty(), "deleted and there (R-158): {both:?}");
    Ok(())
}

/// What a resource is called.
fn name(line: &str) -> String {
    let resource: Value = serde_json::from_str(line).unwrap_or_default();
    let text = |key: &str| resource[key].as_str().unwrap_or_default();
    format!("{}/{}", text("resourceType"), text("id"))
}

/// What a Bundle deletes; checks that it does nothing else.
fn names(line: &str) -> Vec<String> {
    let bundle: Value = serde_json::from_str(line).unwrap_or_default();
    assert_eq!(bundle["resourceType"], "Bundle");
    assert_eq!(bundle["type"], "transaction");
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(!entries.is_empty(), "a Bundle has an entry");
    let url = |entry: &Value| {
        let request = &entry["request"];
        assert_eq!(request["method"], "DELETE");
        assert!(entry.get("resource").is_none());
        request["url"].as_str().unwrap_or_default().to_owned()
    };
    entries.iter().map(url).collect()
}
