//! What a client of Millennium's finds (spec 3.2).

use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_runtime::PresetSetting;

use super::super::{EXPORT, PUBLIC, Site, associated, parameters};
use super::{asking, refused};

const GROUP: &str = "/default/fhir/Group/everyone/$export";

fn millennium() -> Site {
    super::site(PresetSetting::Millennium, |_| {})
}

fn patients(ids: &[&str]) -> Value {
    let reference = |id: &&str| json!({ "reference": format!("Patient/{id}") });
    let named = ids
        .iter()
        .map(|id| json!({ "name": "patient", "valueReference": reference(id) }));
    parameters(&named.collect())
}

#[actix_web::test]
async fn c_034_groups_are_by_get_and_patients_by_post_with_their_names() {
    let site = super::site(PresetSetting::Millennium, |access| {
        access.rules.most_patients = Some(2);
    });
    let got = site.get(EXPORT).await;
    assert_eq!(refused(&got), (405, "not-supported".to_owned()));
    assert_eq!(got.header("allow"), "POST");
    let got = site.post(GROUP, &parameters(&json!([]))).await;
    assert_eq!(got.header("allow"), "GET");
    assert_eq!(
        site.get("/default/fhir/$export").await.status,
        StatusCode::NOT_IMPLEMENTED
    );
    for ids in [&[][..], &["p1", "p2", "p3"]] {
        let got = site.post(EXPORT, &patients(ids)).await;
        assert_eq!(refused(&got), (400, "invalid".to_owned()));
    }
    let named = site.post(EXPORT, &patients(&["p1"])).await;
    assert_ne!(named.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[actix_web::test]
async fn c_035_a_client_has_one_export_at_a_time() {
    let site = millennium();
    let first = site.get(GROUP).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let second = site.get(&format!("{GROUP}?_type=Patient")).await;
    assert_eq!(refused(&second), (429, "throttled".to_owned()));
    let status = first.header("content-location").to_owned();
    let deleted = site.send(asking(Method::DELETE, &status)).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED, "C-050");
    assert_eq!(site.get(GROUP).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn c_038_c_049_what_is_not_known_is_400_invalid() {
    let site = millennium();
    for query in [
        "_elements=id",
        "_until=2026-01-01T00:00:00Z",
        "patient=Patient/1",
        "_type=Patient,Foo",
        "_type=Location,Organization",
        "_since=yesterday",
        "colour=red",
    ] {
        let got = site.get(&format!("{GROUP}?{query}")).await;
        assert_eq!(refused(&got), (400, "invalid".to_owned()), "{query}");
    }
    let request = asking(Method::GET, GROUP).insert_header(("Accept", "text/csv"));
    let got = site.send(request).await;
    assert_eq!(refused(&got), (406, "invalid".to_owned()));
}

#[actix_web::test]
async fn c_038_c_040_provenances_come_along_where_they_are_asked_for() {
    let mut site = millennium();
    site.serve(associated::source());
    site.work();
    let latest = "includeAssociatedData=LatestProvenanceResources";
    let got = site.get(&format!("{GROUP}?_type=Patient&{latest}")).await;
    assert_eq!(refused(&got), (400, "invalid".to_owned()));
    for (query, ids) in [
        (latest.to_owned(), &["new", "other"][..]),
        (format!("_type=Patient,Provenance&{latest}"), &["new"]),
        (
            "_type=Patient,Provenance".to_owned(),
            &["new", "old", "other", "stray"],
        ),
        ("_type=Patient".to_owned(), &[]),
    ] {
        let (_, manifest) = site.export(&format!("{GROUP}?{query}")).await;
        assert_eq!(
            associated::provenances(&site, &manifest).await.0,
            ids,
            "{query}"
        );
    }
}

#[actix_web::test]
async fn c_039_a_filter_that_is_not_answered_is_422_and_one_without_its_type_400() {
    let site = millennium();
    let observation = "_type=Observation&_typeFilter=Observation%3F";
    for (query, status) in [
        (format!("{observation}_count%3D5"), 422),
        (format!("{observation}subject%3DPatient/1"), 422),
        (format!("{observation}colour%3Dred"), 422),
        (
            "_type=Patient&_typeFilter=Patient%3Fgender%3Dmale".to_owned(),
            422,
        ),
        ("_typeFilter=Observation%3Fstatus%3Dfinal".to_owned(), 400),
        (
            "_type=Condition&_typeFilter=Observation%3Fstatus%3Dfinal".to_owned(),
            400,
        ),
        (
            format!("{observation}status%3Dfinal&_typeFilter=Observation%3Fcode%3Da"),
            400,
        ),
    ] {
        let got = site.get(&format!("{GROUP}?{query}")).await;
        assert_eq!(refused(&got), (status, "invalid".to_owned()), "{query}");
    }
    let got = site
        .get(&format!("{GROUP}?{observation}status%3Dfinal"))
        .await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn c_041_what_lenient_handling_ignores_is_told_in_the_error_files() {
    let site = millennium();
    site.work();
    let request = asking(
        Method::GET,
        "/default/fhir/Group/everyone/$export?_elements=id&colour=red",
    );
    let request = request.insert_header(("Prefer", "respond-async, handling=lenient"));
    let started = site.send(request).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    let manifest = site
        .manifest(started.header("content-location"))
        .await
        .json();
    assert_eq!(manifest["error"][0]["count"], 2);
    let file = site
        .get(manifest["error"][0]["url"].as_str().unwrap())
        .await;
    let text = String::from_utf8(file.body.to_vec()).unwrap();
    assert!(text.contains("_elements") && text.contains("colour"));
}

#[actix_web::test]
async fn c_044_c_052_an_export_from_end_to_end_has_millenniums_words_and_urls() {
    let site = millennium();
    let started = site.get(GROUP).await;
    let status = started.header("content-location").to_owned();
    assert!(status.starts_with(&format!("{PUBLIC}/default/fhir/bulk-export/jobs/")));
    let running = site.get(&status).await;
    assert_eq!(running.header("x-progress"), "in-progress");
    assert!(running.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(
        running.header("opc-request-id"),
        running.header("x-request-id"),
        "C-051"
    );
    site.work();
    let done = site.manifest(&status).await;
    assert_eq!(done.header("x-progress"), "completed");
    assert!(done.header("expires").ends_with("GMT"));
    let manifest = done.json();
    assert_eq!(manifest["requiresAccessToken"], true, "C-052");
    for entry in manifest["output"].as_array().unwrap() {
        let url = entry["url"].as_str().unwrap();
        let files = format!("{PUBLIC}/default/fhir/bulk-export/files/");
        assert!(!url.strip_prefix(&files).unwrap().contains('/'), "{url}");
        // Without a store that signs links, a redirect has nowhere to lead.
        let file = site.get(url).await;
        let lines = std::str::from_utf8(&file.body).unwrap().lines().count();
        assert_eq!(entry["count"], lines);
    }
}
