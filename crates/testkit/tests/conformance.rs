//! The small source is held against the same suite as real ones.

use std::collections::BTreeMap;

use sluice_fhir::{Instant, ResourceType};
use sluice_ports::conformance::{self, Deletions, Population, Promise};
use sluice_testkit::SmallSource;

#[tokio::test]
async fn small_source() {
    let source = SmallSource::of(5, 7);
    let mut lines: BTreeMap<ResourceType, Vec<String>> = BTreeMap::new();
    for line in source.lines() {
        let is_patient = line.contains(r#""resourceType":"Patient""#);
        let name = if is_patient { "Patient" } else { "Observation" };
        lines.entry(name.parse().unwrap()).or_default().push(line);
    }
    let population = Population {
        promise: Promise::Exact,
        system: lines.clone(),
        patients: lines.clone(),
        group: ("everyone".to_owned(), lines),
    };
    conformance::source(&source, &population).await.unwrap();
}

/// R-156, R-158: what is deleted is named, and is not there any more.
#[tokio::test]
async fn small_source_with_deletions() {
    let names = ["Observation/o1", "Patient/p1", "Patient/p-gone"];
    let source = SmallSource::of(5, 7).deleting(&names);
    assert_eq!(source.lines().len(), 5 + 35 - 2);
    let all: std::collections::BTreeSet<String> = names.map(str::to_owned).into();
    let kinds = ["Group", "Observation", "Patient"];
    let expected = Deletions {
        since: Instant::from_millis(0),
        types: kinds.map(|name| name.parse().unwrap()).into(),
        system: all.clone(),
        patients: all.clone(),
        group: ("everyone".to_owned(), all),
    };
    conformance::deletions(&source, &expected).await.unwrap();
}
