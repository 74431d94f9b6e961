//! What a client of Soarian's finds (spec 3.1).

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use sluice_auth::LevelName;
use sluice_runtime::PresetSetting;

use super::super::{EXPORT, PUBLIC, Site, local, parameters};
use super::{asking, refused};

const GROUP: &str = "/default/fhir/Group/everyone/$export";

fn soarian() -> Site {
    super::site(PresetSetting::Soarian, |_| {})
}

fn entry<'m>(manifest: &'m Value, kind: &str) -> &'m str {
    let entries = manifest["output"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["type"] == kind).unwrap();
    entry["url"].as_str().unwrap()
}

#[actix_web::test]
async fn c_001_kick_offs_are_by_get_and_for_patients_and_groups() {
    let site = soarian();
    assert_eq!(site.ask(EXPORT).await.status, StatusCode::ACCEPTED);
    assert_eq!(site.ask(GROUP).await.status, StatusCode::ACCEPTED);
    let posted = site
        .ask_with(Method::POST, GROUP, &parameters(&json!([])))
        .await;
    assert_eq!(refused(&posted), (405, "not-supported".to_owned()));
    assert_eq!(posted.header("allow"), "GET");
    let system = site.ask("/default/fhir/$export").await;
    assert_eq!(refused(&system), (501, "not-found".to_owned()), "C-014");
    let ballot = "/default/fhir/Patient/$export-v4";
    let empty = parameters(&json!([]));
    let ballot = site.ask_with(Method::POST, ballot, &empty).await;
    assert_eq!(refused(&ballot), (404, "not-found".to_owned()));
}

#[actix_web::test]
async fn c_014_an_all_patient_export_that_is_off_is_501() {
    let site = super::site(PresetSetting::Soarian, |access| {
        access.levels.remove(&LevelName::Patient);
    });
    let got = site.ask(EXPORT).await;
    assert_eq!(refused(&got), (501, "not-found".to_owned()));
    assert_eq!(got.json()["issue"][0]["severity"], "error");
    assert_eq!(site.ask(GROUP).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn c_006_c_008_c_015_what_is_wrong_with_a_request_has_soarians_statuses() {
    let site = soarian();
    for (query, status, code) in [
        ("_until=2026-01-01T00:00:00Z", 400, "not-supported"),
        ("_typeFilter=Patient%3Fgender%3Dmale", 400, "not-supported"),
        ("_elements=id", 400, "not-supported"),
        ("_type=Patient,Medication", 404, "not-supported"),
        ("_type=Foo", 404, "not-supported"),
        ("_type=Location,Provenance", 400, "not-supported"),
        ("_since=2026-01-01", 400, "invalid"),
        ("_outputFormat=text/csv", 400, "invalid"),
        ("_type=%ff", 400, "structure"),
    ] {
        let got = site.ask(&format!("{EXPORT}?{query}")).await;
        assert_eq!(refused(&got), (status, code.to_owned()), "{query}");
        assert_eq!(got.json()["issue"][0]["severity"], "error", "C-029");
    }
    let lenient = asking(Method::GET, "/default/fhir/Patient/$export?_elements=id");
    let lenient = lenient.insert_header(("Prefer", "respond-async, handling=lenient"));
    let got = site.send(lenient).await;
    assert_eq!(refused(&got), (400, "not-supported".to_owned()));
    let group = site.ask("/default/fhir/Group/unknown/$export").await;
    assert_eq!(refused(&group), (404, "not-found".to_owned()), "C-004");
}

#[actix_web::test]
async fn c_007_without_type_only_its_types_are_exported() {
    let site = super::site(PresetSetting::Soarian, |access| {
        access.rules.types = Some(["Patient".parse().unwrap()].into());
    });
    site.work();
    let started = site.ask(EXPORT).await;
    let manifest = site.manifest(started.header("content-location")).await;
    let output = manifest.json()["output"].clone();
    assert!(
        output
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["type"] == "Patient")
    );
}

#[actix_web::test]
async fn c_010_binary_is_let_pass_and_told_of_with_the_202() {
    let site = soarian();
    let got = site.ask(&format!("{EXPORT}?_type=Binary,Patient")).await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    let issues = got.json()["issue"].clone();
    assert_eq!(issues[0]["severity"], "information", "C-011");
    assert_eq!(issues[1]["severity"], "information");
    assert!(
        issues[1]["diagnostics"]
            .as_str()
            .unwrap()
            .contains("Binary")
    );
}

#[actix_web::test]
async fn c_012_the_headers_are_demanded_of_kick_off_poll_and_deletion() {
    let site = soarian();
    let started = site.ask(EXPORT).await;
    let status = started.header("content-location").to_owned();
    let requests = [
        (Method::GET, EXPORT),
        (Method::GET, &status),
        (Method::DELETE, &status),
    ];
    for (method, url) in requests {
        let with = |name: &'static str, value: &'static str| {
            asking(method.clone(), url).insert_header((name, value))
        };
        let bare = TestRequest::default()
            .method(method.clone())
            .uri(local(url));
        for request in [
            bare,
            with("Accept", "application/json"),
            with("Accept", "application/fhir+json;q=0"),
            with("Prefer", "handling=strict"),
        ] {
            let got = site.send(request).await;
            assert_eq!(
                refused(&got),
                (406, "structure".to_owned()),
                "{method} {url}"
            );
        }
    }
    let both = asking(Method::GET, &status);
    let both = both.insert_header((header::ACCEPT, "text/html, application/fhir+json;q=0.9"));
    assert_eq!(site.send(both).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn c_013_the_same_export_is_refused_until_the_first_is_deleted() {
    let site = soarian();
    let first = site.ask(EXPORT).await;
    let again = site.ask(EXPORT).await;
    assert_eq!(refused(&again), (409, "duplicate".to_owned()));
    let status = first.header("content-location").to_owned();
    let deleted = site.send(asking(Method::DELETE, &status)).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
    assert_eq!(site.ask(EXPORT).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn c_016_c_017_an_export_from_end_to_end_has_soarians_urls() {
    let site = soarian();
    let started = site.ask(EXPORT).await;
    let status = started.header("content-location").to_owned();
    let shape = format!("{PUBLIC}/default/fhir/bulk-api/request/");
    let job = status.strip_prefix(&shape).unwrap().to_owned();
    let running = site.ask(&status).await;
    assert_eq!(running.header("x-progress"), "0.0% complete");
    site.work();
    let manifest = site.manifest(&status).await.json();
    assert_eq!(manifest["requiresAccessToken"], true, "C-020: a boolean");
    assert_eq!(manifest["request"], format!("{PUBLIC}{EXPORT}"), "C-020");
    let file = entry(&manifest, "Patient");
    let download = format!("{PUBLIC}/default/fhir/bulk-api/download/{job}/");
    assert!(
        file.starts_with(&download) && file.ends_with("_Patient.ndjson"),
        "{file}"
    );
    let got = site.ask(file).await;
    assert_eq!(got.header("content-type"), "application/fhir+ndjson");
    assert!(got.body.starts_with(b"{\"resourceType\":\"Patient\""));
    // The other shapes lead to the same.
    let ours = format!("/default/fhir/bulk-export/jobs/{job}");
    assert_eq!(site.ask(&ours).await.status, StatusCode::OK);
    let missing = site.ask(&format!("{download}AAAA_Patient.ndjson")).await;
    assert_eq!(refused(&missing), (404, "not-found".to_owned()), "C-022");

    let deleted = site.send(asking(Method::DELETE, &status)).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED, "C-024");
    let gone = site.ask(&status).await;
    assert_eq!(refused(&gone), (404, "deleted".to_owned()), "C-018");
    assert_eq!(site.ask(file).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn c_030_answers_have_oracles_request_id_too() {
    let site = soarian();
    let metadata = "/default/fhir/metadata";
    for url in [EXPORT, metadata, "/default/fhir/bulk-api/request/x"] {
        let got = site.ask(url).await;
        let id = got.header("x-request-id");
        assert!(!id.is_empty());
        assert_eq!(got.header("opc-request-id"), id, "{url}");
    }
}

#[actix_web::test]
async fn r_209_metadata_tells_what_soarian_allows() {
    let site = soarian();
    let metadata = site.ask("/default/fhir/metadata").await.json();
    let rest = &metadata["rest"][0];
    assert!(rest.get("operation").is_none());
    let told = rest["documentation"].as_str().unwrap();
    assert!(
        told.contains("at patient and group level, by GET. "),
        "{told}"
    );
    let resources = rest["resource"].as_array().unwrap();
    assert!(!resources.iter().any(|one| one["type"] == "Medication"));
    let definition = site
        .ask("/default/fhir/OperationDefinition/group-export")
        .await;
    let definition = definition.json();
    let names = definition["parameter"].as_array().unwrap();
    let names: Vec<&Value> = names.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["_outputFormat", "_since", "_type"]);
    assert_eq!(definition["parameter"][0]["min"], 0, "C-027");
}
