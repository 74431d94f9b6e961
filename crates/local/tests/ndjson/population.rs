//! Whose data leave, and what comes along.

use sluice_fhir::Level;
use sluice_local::ndjson::{NdjsonOptions, Undated};
use sluice_ports::Source;
use sluice_ports::conformance;
use sluice_testkit::exported::Promise;
use sluice_testkit::small::{GROUP, LEFT, lines, population};

use crate::folder::{Folder, T, ids, open, resource, scope, types};

fn shared() -> Folder {
    let lines = lines();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Folder::of(&lines)
}

#[tokio::test]
async fn it_conforms() {
    let folder = shared();
    let population = population(Promise::Exact);
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
