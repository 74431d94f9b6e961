//! `sluice export --organize-by Patient`, on sample data.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::folder::{lines, sample};
use crate::server::{Site, export, said};

/// What samples have in no patient's compartment.
const ELSEWHERE: [&str; 7] = [
    "Device",
    "Endpoint",
    "Location",
    "Medication",
    "Organization",
    "Practitioner",
    "PractitionerRole",
];

fn kind(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line["resourceType"].as_str().unwrap().to_owned()
}

#[test]
fn blocks_hold_all_that_the_same_export_by_type_has_of_the_compartments() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(40, &data);
    let site = Site::new(home.path(), &data);
    let _server = site.start();
    let exported = |name: &str, words: &[&str]| {
        let out = home.path().join(name);
        let done = export(&site.base(), &out, words);
        let text = said(&done);
        assert!(done.status.success(), "{text}");
        assert!(text.contains("all verified"), "{text}");
        lines(&out)
    };
    let by_type = exported("by-type", &[]);
    let blocks = exported("by-patient", &["--organize-by", "Patient"]);
    assert!(
        home.path()
            .join("by-patient/Patient-blocks.1.ndjson")
            .exists()
    );
    // Of every block, the Provenances that are the newest about anything in it, and no more of them.
    let latest = ["--organize-by", "Patient", "--include-associated-data"];
    let latest = [&latest[..], &["LatestProvenanceResources"]].concat();
    let with_latest: BTreeSet<String> = exported("latest", &latest).into_iter().collect();
    let all: BTreeSet<String> = blocks.iter().cloned().collect();
    assert!(with_latest.is_subset(&all));
    let left_out = all.difference(&with_latest);
    assert!({ left_out }.all(|line| kind(line) == "Provenance"));
    assert!(with_latest.iter().any(|line| kind(line) == "Provenance"));

    let is_header = |line: &&String| kind(line) == "Parameters";
    let patients = |lines: &[String]| {
        let patients = lines.iter().filter(|line| kind(line) == "Patient");
        patients.count()
    };
    assert_eq!(blocks.iter().filter(is_header).count(), patients(&by_type));
    assert_eq!(patients(&blocks), patients(&by_type), "each once");
    let within: BTreeSet<&String> = blocks.iter().filter(|line| !is_header(line)).collect();
    let all: BTreeSet<&String> = by_type.iter().collect();
    assert!(
        within.is_subset(&all),
        "nothing that an export by type lacks"
    );
    for line in all.difference(&within) {
        let kind = kind(line);
        assert!(ELSEWHERE.contains(&kind.as_str()), "a {kind} is missing");
    }
}
