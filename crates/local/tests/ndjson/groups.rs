//! Groups: who belongs to one, and how they are found.

use futures::TryStreamExt;
use sluice_fhir::Level;
use sluice_local::ndjson::NdjsonSource;
use sluice_ports::{GroupQuery, PopulationError, Source};

use crate::folder::{Folder, group, ids, resource, scope};

fn group_level(id: &str) -> Level {
    Level::Group(id.to_owned())
}

const MEMBERS: [&str; 8] = [
    r#"{"entity":{"reference":"Patient/p0"}}"#,
    r#"{"entity":{"reference":"Patient/p1"},"inactive":true}"#,
    r#"{"entity":{"reference":"Patient/p2"},"period":{"end":"2026-05-16"}}"#,
    r#"{"entity":{"reference":"Patient/p3"},"period":{"start":"2026-05","end":"2026-05-17"}}"#,
    r#"{"entity":{"reference":"Patient/gone"}}"#,
    r#"{"entity":{"reference":"Group/inner"}}"#,
    r#"{"entity":{"reference":"Practitioner/d"}}"#,
    r#"{"entity":{"reference":"Group/gone"}}"#,
];

fn folder() -> Folder {
    let patients: Vec<String> = (0..7)
        .map(|n| resource(&format!("Patient/p{n}"), &[]))
        .collect();
    let inner = [
        r#"{"entity":{"reference":"Patient/p4"}}"#,
        r#"{"entity":{"reference":"Group/outer"}}"#,
        r#"{"entity":{"reference":"Group/off"}}"#,
    ];
    let off = group("off", &[r#"{"entity":{"reference":"Patient/p5"}}"#]);
    let off = off.replacen('{', r#"{"active":false,"#, 1);
    let groups = [group("outer", &MEMBERS), group("inner", &inner), off];
    let lines: Vec<&str> = patients.iter().chain(&groups).map(String::as_str).collect();
    Folder::of(&lines)
}

#[tokio::test]
async fn membership_is_that_at_t_and_nested() {
    let folder = folder();
    let source = folder.source();
    let scope = scope(&source, group_level("outer")).await;
    source.check(&scope).await.unwrap();
    assert_eq!(
        ids(&source, &scope).await,
        ["Patient/p0", "Patient/p3", "Patient/p4"]
    );
    let remarks = source.remarks(&scope).await.unwrap();
    let texts: Vec<&str> = remarks.iter().map(|issue| issue.text.as_str()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].starts_with("members of the Group left out: 1 that are Patients"));
    assert!(texts[1].starts_with("members of the Group left out: 1 that are Groups"));
    assert!(texts[2].starts_with("members of the Group left out: 1 that are neither"));
}

#[tokio::test]
async fn r_065_unknown_groups_and_patients_are_named() {
    let folder = folder();
    let source = folder.source();
    for id in ["off", "nowhere"] {
        let scope = scope(&source, group_level(id)).await;
        let error = source.check(&scope).await.unwrap_err();
        assert!(matches!(error, PopulationError::UnknownGroup), "{id}");
        assert!(source.plan(&scope, 100, 10, None).await.is_err());
    }
    let asked = ["nobody", "p0", "p1", "p4", "p6"].map(str::to_owned);
    for (level, missing) in [
        (group_level("outer"), vec!["nobody", "p1", "p6"]),
        (Level::Patient, vec!["nobody"]),
    ] {
        let mut scope = scope(&source, level).await;
        scope.patients = Some(asked.to_vec());
        match source.check(&scope).await.unwrap_err() {
            PopulationError::UnknownPatients(unknown) => assert_eq!(unknown, missing),
            other => panic!("{other}"),
        }
        scope.patients = Some(vec!["p0".to_owned(), "p4".to_owned()]);
        source.check(&scope).await.unwrap();
        assert_eq!(ids(&source, &scope).await, ["Patient/p0", "Patient/p4"]);
    }
}

#[tokio::test]
async fn groups_are_searched_and_read() {
    let lines = [
        r#"{"resourceType":"Group","id":"b","name":"Ärzte A","identifier":[{"system":"s","value":"1"}]}"#,
        r#"{"resourceType":"Group","id":"a","name":"Diabetes","identifier":[{"value":"1"}]}"#,
        r#"{"resourceType":"Group","id":"c"}"#,
    ];
    let folder = Folder::of(&lines);
    let source = folder.source();
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let query = |ids: &[&str], identifiers: &[&str], names: &[&str]| GroupQuery {
        ids: texts(ids),
        identifiers: texts(identifiers),
        names: texts(names),
        offset: 0,
        limit: 10,
    };
    for (query, found) in [
        (query(&[], &[], &[]), vec![1, 0, 2]),
        (query(&["c", "a"], &[], &[]), vec![1, 2]),
        (query(&[], &["1"], &[]), vec![1, 0]),
        (query(&[], &["s|1"], &[]), vec![0]),
        (query(&[], &["|1"], &[]), vec![1]),
        (query(&[], &[], &["äRZ", "x"]), vec![0]),
        (query(&["a"], &["1"], &["ä"]), vec![]),
    ] {
        let page = source.groups(&query).await.unwrap();
        let expected: Vec<_> = found.iter().map(|n| lines[*n].as_bytes()).collect();
        assert_eq!(page.groups, expected, "{query:?}");
        assert_eq!(page.total, found.len());
    }
    let second = GroupQuery {
        offset: 1,
        limit: 1,
        ..GroupQuery::default()
    };
    let page = source.groups(&second).await.unwrap();
    assert_eq!((page.groups.len(), page.total), (1, 3));
    assert_eq!(read(&source, "b").await.unwrap(), lines[0]);
    assert_eq!(read(&source, "z").await, None);
}

async fn read(source: &NdjsonSource, id: &str) -> Option<String> {
    let pieces: Vec<_> = source
        .group(id)
        .await
        .unwrap()?
        .try_collect()
        .await
        .unwrap();
    Some(String::from_utf8(pieces.concat()).unwrap())
}

/// A search may find many Groups of many members: their pages stay small.
#[tokio::test]
async fn long_groups_are_found_without_their_members_and_read_with_them() {
    let members: Vec<String> = (0..60_000)
        .map(|n| format!(r#"{{"entity":{{"reference":"Patient/p{n}"}}}}"#))
        .collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let folder = Folder::of(&[&group("long", &members), &group("short", &[])]);
    let source = folder.source();
    let query = GroupQuery {
        limit: 10,
        ..GroupQuery::default()
    };
    let page = source.groups(&query).await.unwrap();
    assert_eq!((page.total, page.groups.len()), (2, 2));
    let found: serde_json::Value = serde_json::from_slice(&page.groups[0]).unwrap();
    assert_eq!(found["id"], "long");
    assert_eq!(found["meta"]["tag"][0]["code"], "SUBSETTED");
    assert!(found.get("member").is_none());
    let whole = read(&source, "long").await.unwrap();
    assert_eq!(whole, group("long", &members));
}
