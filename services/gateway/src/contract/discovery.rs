//! What the server says of itself, and of what it does not have.

use super::EXPORT;
use super::PUBLIC;
use super::Site;
use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::test::TestRequest;
use serde_json::json;
use sluice_testkit::Faults;
use sluice_testkit::When;

#[actix_web::test]
async fn unknown_paths_methods_and_populations() {
    let site = Site::quiet();
    for path in [
        "/",
        "/default/fhir/Observation/1",
        "/nobody/fhir/metadata",
        "/nobody/fhir/$export",
        "/NO/fhir/$export",
        "/default/fhir/Group/unknown/$export",
        "/default/fhir/Group/unknown",
        "/default/fhir/bulk-export/jobs/x",
        "/default/fhir/bulk-export/jobs/00000000000000000000000000000000",
        "/default/fhir/OperationDefinition/import",
    ] {
        let got = site.get(path).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(got.issue(), "not-found", "{path}");
    }
    for (method, path) in [
        (Method::PUT, EXPORT),
        (Method::DELETE, "/default/fhir/metadata"),
        (Method::POST, "/default/fhir/bulk-export/jobs/x"),
    ] {
        let got = site
            .send(TestRequest::default().method(method).uri(path))
            .await;
        assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(got.header("allow").starts_with("GET, "));
    }
    let csv = TestRequest::get().uri(EXPORT);
    let got = site
        .send(csv.insert_header((header::ACCEPT, "text/csv")))
        .await;
    assert_eq!(got.status, StatusCode::NOT_ACCEPTABLE);
}

#[actix_web::test]
async fn t_022_the_host_header_decides_nothing() {
    let site = Site::quiet();
    let request = TestRequest::get().uri(EXPORT);
    let got = site
        .send(request.insert_header((header::HOST, "evil.example")))
        .await;
    assert!(got.header("content-location").starts_with(PUBLIC));
}

#[actix_web::test]
async fn e_09_e_12_e_13_discovery_and_groups() {
    let site = Site::quiet();
    let metadata = site.get("/default/fhir/metadata").await.json();
    assert_eq!(
        metadata["implementation"]["url"],
        format!("{PUBLIC}/default/fhir")
    );
    for id in ["export", "patient-export", "group-export"] {
        let path = format!("/default/fhir/OperationDefinition/{id}");
        assert_eq!(site.get(&path).await.json()["id"], id);
    }
    let group = site.get("/default/fhir/Group/everyone").await.json();
    assert_eq!(group["id"], "everyone");
    let found = site
        .get("/default/fhir/Group?name=every&_count=5")
        .await
        .json();
    assert_eq!(
        (&found["type"], &found["total"]),
        (&json!("searchset"), &json!(1))
    );
    let entry = &found["entry"][0];
    assert_eq!(
        entry["fullUrl"],
        format!("{PUBLIC}/default/fhir/Group/everyone")
    );
    assert_eq!(entry["resource"]["id"], "everyone");
    let many = vec!["a"; 101].join(",");
    let refused = site.get(&format!("/default/fhir/Group?name={many}")).await;
    assert_eq!(refused.issue(), "too-long");
    let refused = site.get("/default/fhir/Group?colour=red").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn a_store_that_cannot_be_reached_is_503_and_says_when_to_come_back() {
    // The journal tries a write three times; a single lost call is not seen by the client. The first call
    // asks whether the audit has room.
    let site = Site::new(&Faults::nth(1, When::Before));
    assert_eq!(site.get(EXPORT).await.status, StatusCode::ACCEPTED);
    let status = site.get(EXPORT).await;
    let status = status.header("content-location").to_owned();
    let site = Site::new(&Faults::nth(0, When::Before));
    let got = site.get(&status).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "transient")
    );
    assert!(got.header("retry-after").parse::<u64>().unwrap() > 0);
    let again = site.get(&status).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "it is another site's");
}

#[actix_web::test]
async fn a_request_id_is_kept_if_it_is_safe() {
    let site = Site::quiet();
    let with = |id: &str| {
        TestRequest::get()
            .uri("/default/fhir/metadata")
            .insert_header(("X-Request-Id", id.to_owned()))
    };
    assert_eq!(
        site.send(with("abc-1")).await.header("x-request-id"),
        "abc-1"
    );
    let unsafe_id = "a b<script>";
    assert_ne!(
        site.send(with(unsafe_id)).await.header("x-request-id"),
        unsafe_id
    );
}
