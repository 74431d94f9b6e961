//! Kick-offs: what is accepted, refused, and the same as another.

use super::EXPORT;
use super::Site;
use super::local;
use super::parameters;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::test::TestRequest;
use serde_json::json;
use sluice_engine::Duplicates;
use sluice_engine::Policy;

#[actix_web::test]
async fn e_01_to_e_03_every_level_is_kicked_off_by_get_and_post() {
    let site = Site::quiet();
    let mut seen = Vec::new();
    for path in [
        "/default/fhir/$export",
        EXPORT,
        "/default/fhir/Patient/%24export",
        "/default/fhir/Group/everyone/$export",
    ] {
        let post = site.post(path, &parameters(&json!([]))).await;
        for got in [site.get(path).await, post] {
            assert_eq!(got.status, StatusCode::ACCEPTED, "{path}");
            let url = got.header("content-location").to_owned();
            assert!(url.starts_with("https://bulk.example.org/default/fhir/bulk-export/jobs/"));
            assert_eq!(got.issue(), "informational");
            assert!(!seen.contains(&url), "every export has its own URL");
            seen.push(url);
        }
    }
}

#[actix_web::test]
async fn what_is_wrong_with_a_kickoff_is_told() {
    let site = Site::quiet();
    for (query, code) in [
        ("_type=Patient,Foo", "not-supported"),
        ("_type=Practitioner", "not-supported"),
        ("_since=2026-01-01", "invalid"),
        ("_until=yesterday", "invalid"),
        ("_outputFormat=text/csv", "invalid"),
        ("patient=Patient/1", "not-supported"),
        ("_typeFilter=Patient%3Fx%3D1", "not-supported"),
        ("includeAssociatedData=_own", "not-supported"),
        ("organizeOutputBy=Practitioner", "not-supported"),
        ("organizeOutputBy=Patient&_type=Observation", "invalid"),
        ("allowPartialManifests=maybe", "invalid"),
        ("colour=red", "not-supported"),
        ("_type=%ff", "structure"),
    ] {
        let got = site.get(&format!("{EXPORT}?{query}")).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(got.issue(), code, "{query}");
    }
}

#[actix_web::test]
async fn what_is_wrong_with_a_body_is_told() {
    let site = Site::quiet();
    let in_the_query = format!("{EXPORT}?patient=Patient/1");
    let got = site.post(&in_the_query, &parameters(&json!([]))).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::BAD_REQUEST, "not-supported"),
        "T-014: a patient is named in the body only"
    );
    let unknown = parameters(&json!([
        { "name": "patient", "valueReference": { "reference": "Patient/nobody" } }
    ]));
    let got = site.post(EXPORT, &unknown).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::BAD_REQUEST, "not-found")
    );
    let got = site
        .post(EXPORT, &json!({ "resourceType": "Patient" }))
        .await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::BAD_REQUEST, "structure")
    );
    let large = parameters(&json!([{ "name": "x", "valueString": "x".repeat(3_000) }]));
    let got = site.post(EXPORT, &large).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "too-long")
    );
    let text = TestRequest::post().uri(EXPORT).set_payload("_type=Patient");
    let form = text.insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"));
    let got = site.send(form).await;
    assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

fn duplicates(duplicates: Duplicates) -> Site {
    Site::wanting(Policy {
        duplicates,
        ..Policy::default()
    })
}

/// C-013, T-021: a duplicate is one only while the first runs.
#[actix_web::test]
async fn a_13_duplicates_are_refused_while_the_first_runs() {
    let site = duplicates(Duplicates::Reject);
    let first = site
        .get(&format!("{EXPORT}?_type=Patient,Observation"))
        .await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let again = format!("{EXPORT}?_type=Observation&_type=Patient");
    let refused = site.get(&again).await;
    assert_eq!(
        (refused.status, refused.issue().as_str()),
        (StatusCode::CONFLICT, "duplicate")
    );
    let other = site.get(&format!("{EXPORT}?_type=Patient")).await;
    assert_eq!(other.status, StatusCode::ACCEPTED);
    let first = first.header("content-location").to_owned();
    site.send(TestRequest::delete().uri(local(&first))).await;
    let second = site.get(&again).await;
    assert_eq!(second.status, StatusCode::ACCEPTED, "after DELETE");
    site.work();
    site.finish(second.header("content-location")).await;
    assert_eq!(site.get(&again).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn a_11_the_same_request_at_once_joins_one_export() {
    let site = duplicates(Duplicates::Join);
    let requests = (0..20).map(|_| site.get(EXPORT));
    let answers = futures::future::join_all(requests).await;
    let location = answers[0].header("content-location");
    assert!(!location.is_empty());
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.header("content-location"), location);
    }
    let other = site.get("/default/fhir/$export").await;
    assert_ne!(other.header("content-location"), location);
}

#[actix_web::test]
async fn an_idempotency_key_gives_one_export_under_every_policy() {
    for policy in [Duplicates::Allow, Duplicates::Reject, Duplicates::Join] {
        let site = duplicates(policy);
        let with = |url: &str, key: &str| {
            let request = TestRequest::get().uri(url);
            request.insert_header(("Idempotency-Key", key.to_owned()))
        };
        let first = site.send(with(EXPORT, "a")).await;
        let again = site.send(with(EXPORT, "a")).await;
        assert_eq!(again.status, StatusCode::ACCEPTED);
        assert_eq!(
            again.header("content-location"),
            first.header("content-location")
        );
        let reused = site.send(with("/default/fhir/$export", "a")).await;
        assert_eq!(
            (reused.status, reused.issue().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "conflict")
        );
        site.work();
        let location = first.header("content-location").to_owned();
        site.finish(&location).await;
        let later = site.send(with(EXPORT, "a")).await;
        assert_eq!(
            later.header("content-location"),
            location,
            "ended, and its own"
        );
        site.send(TestRequest::delete().uri(local(&location))).await;
        let after = site.send(with(EXPORT, "a")).await;
        assert_ne!(after.header("content-location"), location, "deleted");
        let empty = site.send(with(EXPORT, "")).await;
        assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    }
}

#[actix_web::test]
async fn r_094_as_many_exports_run_as_a_client_may_have() {
    let site = Site::wanting(Policy {
        most_running: Some(2),
        ..Policy::default()
    });
    let first = site.get(EXPORT).await;
    assert_eq!(site.get(EXPORT).await.status, StatusCode::ACCEPTED);
    let refused = site.get(EXPORT).await;
    assert_eq!(
        (refused.status, refused.issue().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "throttled")
    );
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    let first = first.header("content-location").to_owned();
    site.send(TestRequest::delete().uri(local(&first))).await;
    assert_eq!(site.get(EXPORT).await.status, StatusCode::ACCEPTED);
}
