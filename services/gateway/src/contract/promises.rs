//! What a manifest promises of its files, and what is heard where some or all of an export failed.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use sluice_engine::Policy;
use sluice_runtime::ServerSection;
use sluice_testkit::{Reading, SmallSource};

use super::{EXPORT, PUBLIC, Site, local, parameters};

fn url(entry: &Value) -> &str {
    entry["url"].as_str().unwrap()
}

///
#[actix_web::test]
async fn r_191_a_file_holds_one_type_and_as_many_lines_as_its_count() {
    let site = Site::quiet();
    site.work();
    let (_, manifest) = site.export(EXPORT).await;
    let entries = manifest["output"].as_array().unwrap();
    let mut observations = 0;
    for entry in entries {
        assert!(url(entry).starts_with(PUBLIC), "R-145");
        let body = site.get(url(entry)).await.body;
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.ends_with('\n'), "T-060");
        let lines: Vec<Value> = text
            .split_terminator('\n')
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(entry["count"], lines.len(), "R-147");
        assert!(
            lines
                .iter()
                .all(|line| line["resourceType"] == entry["type"])
        );
        observations += usize::from(entry["type"] == "Observation");
    }
    assert!(observations > 1, "R-149");
}

#[actix_web::test]
async fn r_141_r_150_what_finds_nothing_has_no_files() {
    let site = Site::quiet();
    site.work();
    let (_, manifest) = site.export(&format!("{EXPORT}?_type=Condition")).await;
    assert_eq!(manifest["output"], json!([]));
    assert_eq!(manifest["error"], json!([]), "R-162");
    let (_, manifest) = site
        .export(&format!("{EXPORT}?_type=Condition,Patient"))
        .await;
    let types: Vec<&Value> = manifest["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["type"])
        .collect();
    assert_eq!(types, ["Patient"], "R-150, C-021");
}

/// all but the links is as it was, and so are the bytes behind them.
#[actix_web::test]
async fn r_112_a_manifest_that_is_read_again_differs_in_its_links_only() {
    let site = Site::quiet();
    site.work();
    let (status, mut first) = site.export(EXPORT).await;
    let mut before = Vec::new();
    for entry in first["output"].as_array().unwrap() {
        before.push(site.get(url(entry)).await.body);
    }
    site.clock.pass(Duration::from_mins(30));
    let mut second = site.finish(&status).await;
    let entries = first["output"].as_array_mut().unwrap();
    let fresh = second["output"].as_array_mut().unwrap();
    for ((old, new), bytes) in entries.iter_mut().zip(fresh.iter_mut()).zip(before) {
        assert_ne!(url(old), url(new));
        assert_eq!(site.get(url(old)).await.status, StatusCode::FORBIDDEN);
        assert_eq!(site.get(url(new)).await.body, bytes);
        old["url"] = Value::Null;
        new["url"] = Value::Null;
    }
    assert_eq!(first, second);
}

#[actix_web::test]
async fn r_135_request_is_the_url_without_what_the_body_said() {
    let site = Site::quiet();
    site.work();
    let body = parameters(&json!([{ "name": "_type", "valueString": "Patient" }]));
    let path = format!("{EXPORT}?_outputFormat=ndjson");
    let started = site.post(&path, &body).await;
    let manifest = site.finish(started.header("content-location")).await;
    assert_eq!(manifest["request"], format!("{PUBLIC}{path}"));
    let entries = manifest["output"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["type"] == "Patient"));
}

/// With the limits that are set where nothing is said, a list of so many is looked up.
#[actix_web::test]
async fn c_034_twenty_thousand_patients_may_be_named() {
    let most = ServerSection::default().max_body_kib.get();
    let site = Site::set(|settings| settings.max_body = usize::try_from(most).unwrap() * 1024);
    let patient = |n| {
        let reference = format!("Patient/{n:064}");
        json!({ "name": "patient", "valueReference": { "reference": reference } })
    };
    let body = parameters(&(0..20_000).map(patient).collect());
    let got = site.post(EXPORT, &body).await;
    assert_eq!(got.issue(), "not-found", "the source knows none of them");
}

/// A site whose workers find in the source what nobody asked for, and so fail.
fn failing(policy: Policy) -> Site {
    let mut site = Site::wanting(policy);
    site.serve(SmallSource::of(3, 3).reading(Reading::Strays));
    site.work();
    site
}

/// T-037: and it is told so until somebody deletes it.
#[actix_web::test]
async fn r_114_r_118_a_failed_export_is_500_and_an_outcome_says_why() {
    let site = failing(Policy::default());
    let started = site.get(EXPORT).await;
    let status = started.header("content-location").to_owned();
    let mut failed = site.get(&status).await;
    while failed.status == StatusCode::ACCEPTED {
        site.clock.pass(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(2)).await;
        failed = site.get(&status).await;
    }
    for _ in 0..3 {
        assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            failed.issue(),
            "exception",
            "it is no passing trouble: R-120"
        );
        site.clock.pass(Duration::from_secs(2));
        failed = site.get(&status).await;
    }
    let deleted = site.send(TestRequest::delete().uri(local(&status))).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
    assert_eq!(site.get(&status).await.status, StatusCode::NOT_FOUND);
}

/// C-019: where the policy lets an export complete without some of it.
#[actix_web::test]
async fn r_121_r_123_a_partial_success_is_200_and_told_of_in_error_files() {
    let site = failing(Policy {
        failed_percent: 100,
        ..Policy::default()
    });
    let (_, manifest) = site.export(EXPORT).await;
    let errors = manifest["error"].as_array().unwrap();
    assert!(!errors.is_empty());
    for entry in errors {
        assert_eq!(entry["type"], "OperationOutcome", "R-161");
        let file = site.get(url(entry)).await;
        assert_eq!(
            file.header("content-type"),
            "application/fhir+ndjson",
            "R-165"
        );
        let text = String::from_utf8(file.body.to_vec()).unwrap();
        assert_eq!(entry["count"], text.lines().count());
        for line in text.lines() {
            let outcome: Value = serde_json::from_str(line).unwrap();
            assert_eq!(outcome["resourceType"], "OperationOutcome");
            assert_eq!(outcome["issue"][0]["code"], "incomplete");
        }
    }
}

/// data never holds it, and every chunk's is told.
#[actix_web::test]
async fn r_164_what_a_source_tells_while_it_is_read_is_in_the_error_files() {
    let mut site = Site::quiet();
    site.serve(SmallSource::of(3, 3).reading(Reading::Tells));
    site.work();
    let (_, manifest) = site.export(EXPORT).await;
    let [error] = &manifest["error"].as_array().unwrap()[..] else {
        panic!("{}", manifest["error"]);
    };
    let body = site.get(url(error)).await.body;
    let text = std::str::from_utf8(&body).unwrap();
    let told = text
        .lines()
        .filter(|line| line.contains("has more than it gives"));
    assert_eq!(json!(told.count()), error["count"]);
    assert!(error["count"].as_u64().unwrap() > 0);
    let mut types = manifest["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["type"]);
    assert!(types.all(|kind| kind != "OperationOutcome"));
}
