//! The small source is held against the same suite as real ones.

use std::collections::BTreeMap;

use sluice_fhir::ResourceType;
use sluice_ports::conformance::{self, Population};
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
        system: lines.clone(),
        patients: lines.clone(),
        group: ("everyone".to_owned(), lines),
    };
    conformance::source(&source, &population).await.unwrap();
}
