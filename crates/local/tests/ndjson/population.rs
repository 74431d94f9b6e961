//! Whose data leave, and what comes along.

use std::collections::BTreeMap;

use sluice_fhir::{Level, ResourceType};
use sluice_local::ndjson::{NdjsonOptions, Undated};
use sluice_ports::Source;
use sluice_ports::conformance::{self, Population};

use crate::folder::{Folder, T, group, id, ids, open, resource, scope, types};

fn shared_lines() -> [String; 19] {
    [
        resource("Patient/a", &[("managingOrganization", "Organization/hq")]),
        resource("Patient/b", &[]),
        resource(
            "Observation/ab",
            &[("subject", "Patient/a"), ("performer", "Patient/b")],
        ),
        resource(
            "Observation/b",
            &[("subject", "Patient/b"), ("focus", "Device/loose")],
        ),
        resource(
            "Encounter/a",
            &[("subject", "Patient/a"), ("partOf", "Encounter/b")],
        ),
        resource(
            "Encounter/b",
            &[("subject", "Patient/b"), ("x", "Location/b")],
        ),
        resource(
            "Condition/a",
            &[("subject", "Patient/a"), ("x", "PractitionerRole/r")],
        ),
        resource("PractitionerRole/r", &[("organization", "Organization/o")]),
        resource(
            "Organization/o",
            &[("partOf", "Organization/hq"), ("endpoint", "Endpoint/e")],
        ),
        resource("Organization/hq", &[("partOf", "Organization/o")]),
        resource("Endpoint/e", &[]),
        resource("Location/b", &[]),
        resource("Location/nobody", &[]),
        resource("Device/loose", &[]),
        resource("Device/a", &[("patient", "urn:uuid:a")]),
        resource("Provenance/1", &[("target", "Observation/b")]),
        resource("Provenance/2", &[("target", "Patient/a")]),
        resource("Provenance/3", &[("target", "Location/b")]),
        group("g", &[r#"{"entity":{"reference":"Patient/a"}}"#]),
    ]
}

fn shared() -> Folder {
    let lines = shared_lines();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Folder::of(&lines)
}

/// What the Group takes of it.
const GROUP: [&str; 10] = [
    "Condition/a",
    "Device/a",
    "Encounter/a",
    "Endpoint/e",
    "Observation/ab",
    "Organization/hq",
    "Organization/o",
    "Patient/a",
    "PractitionerRole/r",
    "Provenance/2",
];
/// What not even all patients take.
const LEFT: [&str; 3] = ["Group/g", "Location/nobody", "Provenance/3"];

fn by_type(take: impl Fn(&str) -> bool) -> BTreeMap<ResourceType, Vec<String>> {
    let mut lines = shared_lines();
    lines.sort_unstable();
    let mut taken: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in lines {
        let name = id(&line);
        if take(&name) {
            let (kind, _) = name.split_once('/').unwrap();
            taken.entry(kind.parse().unwrap()).or_default().push(line);
        }
    }
    taken
}

#[tokio::test]
async fn it_conforms() {
    let folder = shared();
    let population = Population {
        system: by_type(|_| true),
        patients: by_type(|name| !LEFT.contains(&name)),
        group: ("g".to_owned(), by_type(|name| GROUP.contains(&name))),
    };
    let suite = conformance::source(&folder.source(), &population).await;
    suite.unwrap();
}

#[tokio::test]
async fn a_group_gets_its_own_compartments_and_what_they_refer_to() {
    let folder = shared();
    let source = folder.source();
    let scope = scope(&source, Level::Group("g".to_owned())).await;
    assert_eq!(ids(&source, &scope).await, GROUP);
}

#[tokio::test]
async fn all_patients_take_all_but_what_nobody_refers_to() {
    let folder = shared();
    let source = folder.source();
    let patient = scope(&source, Level::Patient).await;
    let system = scope(&source, Level::System).await;
    let mut everything = ids(&source, &system).await;
    assert_eq!(everything.len(), 19);
    everything.retain(|id| !LEFT.contains(&id.as_str()));
    assert_eq!(ids(&source, &patient).await, everything);
}

#[tokio::test]
async fn what_comes_along_is_reached_through_the_types_asked_for() {
    let folder = shared();
    let source = folder.source();
    let mut scope = scope(&source, Level::Patient).await;
    scope.types = types(&["Condition", "Organization"]);
    assert_eq!(ids(&source, &scope).await, ["Condition/a"]);
    scope.types = types(&["Condition", "Organization", "PractitionerRole"]);
    let expected = [
        "Condition/a",
        "Organization/hq",
        "Organization/o",
        "PractitionerRole/r",
    ];
    assert_eq!(ids(&source, &scope).await, expected);
}

fn dated() -> Folder {
    let at = |id: &str, time: &str| {
        format!(r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"{time}"}}}}"#)
    };
    Folder::of(&[
        &at("old", "2026-01-01T00:00:00.5Z"),
        &at("mid", "2026-02-01T00:00:00Z"),
        &at("new", "2026-06-01T00:00:00Z"),
        &resource("Patient/undated", &[]),
    ])
}

#[tokio::test]
async fn since_and_until_are_exclusive_and_undated_resources_stay() {
    let folder = dated();
    let source = folder.source();
    let mut scope = scope(&source, Level::Patient).await;
    assert_eq!(ids(&source, &scope).await.len(), 4);
    assert_eq!(scope.snapshot.time, T.parse().unwrap());
    assert_eq!(
        source.remarks(&scope).await.unwrap().len(),
        1,
        "one newer than T"
    );
    scope.since = Some("2026-01-01T00:00:00.5Z".parse().unwrap());
    scope.until = Some("2026-06-01T00:00:00Z".parse().unwrap());
    assert_eq!(
        ids(&source, &scope).await,
        ["Patient/mid", "Patient/undated"]
    );
    let remarks = source.remarks(&scope).await.unwrap();
    let text = &remarks[0].text;
    assert!(text.contains("without meta.lastUpdated: 1; "), "{text}");
}

#[tokio::test]
async fn the_time_of_the_file_can_stand_in() {
    let folder = dated();
    let source = open(NdjsonOptions {
        undated: Undated::FileTime,
        ..folder.options()
    })
    .unwrap();
    let mut scope = scope(&source, Level::System).await;
    scope.until = Some("2000-01-01T00:00:00Z".parse().unwrap());
    assert!(ids(&source, &scope).await.is_empty());
    scope.until = None;
    scope.since = scope.until;
    scope.since = Some("2026-03-01T00:00:00Z".parse().unwrap());
    let file = std::fs::File::open(folder.path().join("data.ndjson")).unwrap();
    let written: std::time::Duration = std::time::Duration::from_secs(1_777_777_777);
    file.set_modified(std::time::UNIX_EPOCH + written).unwrap();
    scope.snapshot = source.snapshot().await.unwrap();
    assert_eq!(
        ids(&source, &scope).await,
        ["Patient/new", "Patient/undated"]
    );
    scope.since = Some("2026-05-04T00:00:00Z".parse().unwrap());
    assert_eq!(ids(&source, &scope).await, ["Patient/new"]);
}
