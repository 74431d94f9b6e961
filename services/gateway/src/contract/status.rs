//! From progress to manifest, and out.

use super::EXPORT;
use super::PUBLIC;
use super::Site;
use super::local;
use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::json;
use std::time::Duration;

#[actix_web::test]
async fn e_04_from_progress_to_manifest() {
    let site = Site::quiet();
    let url = format!("{EXPORT}?_type=Patient,Observation");
    let started = site.get(&url).await;
    let status = started.header("content-location").to_owned();
    let running = site.get(&status).await;
    assert_eq!(running.status, StatusCode::ACCEPTED);
    assert_eq!(
        running.header("x-progress"),
        "0% complete, 0 resources, 0 per second"
    );
    assert_eq!(running.header("retry-after"), "1");
    assert!(running.body.is_empty(), "T-039");
    site.work();
    site.finish(&status).await;
    let done = site.get(&status).await;
    assert_eq!(done.header("content-type"), "application/json");
    assert_eq!(done.header("cache-control"), "no-store");
    assert!(done.header("expires").ends_with("GMT"), "R-127");
    let manifest = done.json();
    assert_eq!(manifest["request"], format!("{PUBLIC}{url}"));
    assert_eq!(manifest["requiresAccessToken"], false);
    assert_eq!(manifest["error"], json!([]), "T-041");
    assert!(manifest["transactionTime"].as_str().unwrap().ends_with('Z'));
    let entries = manifest["output"].as_array().unwrap();
    let counts: u64 = entries
        .iter()
        .map(|entry| entry["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counts, 123);
    assert!(entries.iter().any(|entry| entry["type"] == "Patient"));
}

#[actix_web::test]
async fn t_036_polling_as_told_is_never_too_fast_and_faster_is_429() {
    let site = Site::quiet();
    let status = site.get(EXPORT).await;
    let status = status.header("content-location").to_owned();
    let mut refused = None;
    for _ in 0..40 {
        let got = site.get(&status).await;
        if got.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(got);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.issue(), "throttled");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    site.clock.pass(Duration::from_secs(wait));
    for _ in 0..40 {
        let got = site.get(&status).await;
        assert_eq!(got.status, StatusCode::ACCEPTED);
        let told: u64 = got.header("retry-after").parse().unwrap();
        site.clock.pass(Duration::from_secs(told));
    }
}

#[actix_web::test]
async fn e_05_deleted_exports_are_gone_running_or_finished() {
    let site = Site::quiet();
    let running = site.get(EXPORT).await;
    let running = running.header("content-location").to_owned();
    let delete = |url: &str| TestRequest::delete().uri(local(url));
    // T-036, T-062: however fast it was polled, after DELETE it is 404.
    for _ in 0..9 {
        site.get(&running).await;
        site.clock.pass(Duration::from_millis(10));
    }
    let deleted = site.send(delete(&running)).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED, "R-203");
    assert_eq!(deleted.issue(), "informational");
    assert_eq!(site.get(&running).await.issue(), "deleted");
    site.work();
    let (finished, manifest) = site.export(EXPORT).await;
    let file = manifest["output"][0]["url"].as_str().unwrap();
    assert_eq!(site.get(file).await.status, StatusCode::OK);
    assert_eq!(
        site.send(delete(&finished)).await.status,
        StatusCode::ACCEPTED
    );
    for url in [&finished, &running, file] {
        assert_eq!(site.get(url).await.status, StatusCode::NOT_FOUND, "R-206");
    }
    assert_eq!(
        site.send(delete(&finished)).await.status,
        StatusCode::NOT_FOUND
    );
}

#[actix_web::test]
async fn t_063_expired_exports_are_404() {
    let site = Site::quiet();
    site.work();
    let (status, manifest) = site.export(EXPORT).await;
    site.clock.pass(Duration::from_hours(2));
    let got = site.get(&status).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::NOT_FOUND, "deleted")
    );
    let file = manifest["output"][0]["url"].as_str().unwrap();
    assert!(site.get(file).await.status.is_client_error());
}

#[actix_web::test]
async fn r_166_what_lenient_handling_ignored_is_in_the_error_files() {
    let site = Site::quiet();
    site.work();
    let request =
        TestRequest::get().uri("/default/fhir/$export?_elements=shape&colour=red&_type=Patient");
    let request = request.insert_header(("Prefer", "respond-async, handling=lenient"));
    let started = site.send(request).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    let manifest = site.finish(started.header("content-location")).await;
    let error = &manifest["error"][0];
    assert_eq!(
        (&error["type"], &error["count"]),
        (&json!("OperationOutcome"), &json!(2))
    );
    let file = site.get(error["url"].as_str().unwrap()).await;
    let text = String::from_utf8(file.body.to_vec()).unwrap();
    assert!(text.contains("_elements") && text.contains("colour"));
}
