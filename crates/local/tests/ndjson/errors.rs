//! Folders that cannot be served, and what leniency makes of them.

use sluice_fhir::{Level, Severity};
use sluice_ports::Source;

use crate::folder::{Folder, ids, open, resource, scope};

fn refused(folder: &Folder) -> String {
    let error = open(folder.options()).err().unwrap();
    assert!(!error.to_string().contains("secret"), "{error}");
    error.to_string()
}

#[test]
fn each_kind_of_broken_line_names_its_place() {
    for (line, reason) in [
        (r#"{"resourceType":"Patient","id":"secr"#, "cut off"),
        (
            r#"{"resourceType":"Patient","id":secret}"#,
            "not valid JSON",
        ),
        (
            r#"{"resourceType":"Patient","id":"secret"} x"#,
            "not valid JSON",
        ),
        (r#"{"id":"secret"}"#, "resourceType is missing"),
        (r#"{"resourceType":"Secret","id":"secret"}"#, "not a type"),
        (r#"{"resourceType":"Bundle","id":"secret"}"#, "Bundle"),
        (r#"{"resourceType":"Patient"}"#, "id is missing"),
        (
            r#"{"resourceType":"Patient","id":"secret secret"}"#,
            "not a FHIR id",
        ),
        (
            r#"{"resourceType":"Patient","id":"a","meta":{"lastUpdated":"secret"}}"#,
            "not a FHIR instant",
        ),
        (r#"["secret"]"#, "not a JSON object"),
        (
            r#"{"resourceType":"Group","id":"a","member":[{"period":{"end":"secret"}}]}"#,
            "members of the Group",
        ),
    ] {
        let folder = Folder::new();
        folder.write("a.ndjson", resource("Patient/p", &[]));
        folder.write(
            "b.ndjson",
            format!("\r\n\n{}\n{line}", resource("Patient/q", &[])),
        );
        let text = refused(&folder);
        assert!(text.starts_with("b.ndjson, line 4: "), "{text}");
        assert!(text.contains(reason), "{text}");
        let source = open(folder.lenient()).unwrap();
        assert_eq!(
            (source.catalog().resources, source.catalog().skipped),
            (2, 1)
        );
    }
}

#[test]
fn bytes_that_are_no_text() {
    let folder = Folder::new();
    folder.write(
        "a.ndjson",
        b"{\"resourceType\":\"Patient\",\"id\":\"\xff\"}\n",
    );
    assert_eq!(refused(&folder), "a.ndjson, line 1: not UTF-8");
}

#[test]
fn empty_folders_and_files() {
    let folder = Folder::new();
    assert!(refused(&folder).contains("holds no NDJSON files"));
    folder.write("a.ndjson", "");
    folder.write("b.ndjson", resource("Patient/p", &[]));
    assert!(refused(&folder).starts_with("a.ndjson is empty; delete it"));
    assert_eq!(open(folder.lenient()).unwrap().catalog().skipped, 1);
}

#[test]
fn a_packed_file_that_is_cut_off() {
    let folder = Folder::new();
    folder.write("a.ndjson.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0]);
    assert!(refused(&folder).starts_with("reading "));
}

#[tokio::test]
async fn duplicates_are_refused_or_the_latest_stays() {
    let dated = |time: &str, n: u32| {
        format!(
            r#"{{"resourceType":"Patient","id":"p","n":{n},"meta":{{"lastUpdated":"{time}"}}}}"#
        )
    };
    let folder = Folder::new();
    folder.write("a.ndjson", dated("2026-01-02T00:00:00Z", 1) + "\n");
    folder.write(
        "b.ndjson",
        "\n".to_owned() + &dated("2026-01-01T00:00:00Z", 2),
    );
    let text = refused(&folder);
    assert!(text.contains("a.ndjson:1 and at b.ndjson:2"), "{text}");

    let source = open(folder.lenient()).unwrap();
    let all = scope(&source, Level::System).await;
    let lines = crate::folder::export(&source, &all, 100).await;
    assert_eq!(lines, [dated("2026-01-02T00:00:00Z", 1)]);
    let remarks = source.remarks(&all).await.unwrap();
    assert_eq!(remarks.len(), 1);
    assert!(
        remarks[0]
            .text
            .starts_with("b.ndjson: 1 left out, first at line 2")
    );

    folder.write("b.ndjson", dated("2026-01-02T00:00:00Z", 3));
    let all = scope(&source, Level::System).await;
    let lines = crate::folder::export(&source, &all, 100).await;
    assert_eq!(lines, [dated("2026-01-02T00:00:00Z", 3)]);
}

#[tokio::test]
async fn leniency_counts_by_file_and_reason() {
    let folder = Folder::new();
    folder.write(
        "a.ndjson",
        "x\n{}\ny\n".to_owned() + &resource("Patient/p", &[]),
    );
    folder.write("b.ndjson", "");
    let source = open(folder.lenient()).unwrap();
    let all = scope(&source, Level::System).await;
    let remarks = source.remarks(&all).await.unwrap();
    let texts: Vec<&str> = remarks.iter().map(|issue| issue.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "a.ndjson: 2 left out, first at line 1: not valid JSON",
            "a.ndjson: 1 left out, first at line 2: resourceType is missing, repeated or no text",
            "b.ndjson: 1 left out, first at line 1: the file is empty",
        ]
    );
    assert_eq!(ids(&source, &all).await, ["Patient/p"]);
}

#[tokio::test]
async fn binaries_and_outcomes_are_left_out_and_told() {
    let folder = Folder::of(&[
        &resource("Binary/b", &[]),
        r#"{"resourceType":"OperationOutcome"}"#,
        &resource("Patient/p", &[]),
    ]);
    let source = folder.source();
    let all = scope(&source, Level::System).await;
    assert_eq!(ids(&source, &all).await, ["Patient/p"]);
    assert_eq!(source.catalog().skipped, 2);
    let remarks = source.remarks(&all).await.unwrap();
    assert_eq!(remarks.len(), 1);
    assert_eq!(remarks[0].severity, Severity::Information);
}
