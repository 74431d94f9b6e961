//! `$export-v4`: what a client of 4.0.0-ballot finds beside the third version.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use sluice_engine::Duplicates;
use sluice_engine::Policy;

use super::{EXPORT, Got, PUBLIC, Site, parameters};

const BALLOT: &str = "/default/fhir/Patient/$export-v4";

fn asked(pairs: &[(&str, &str)]) -> Value {
    let entries = pairs
        .iter()
        .map(|(name, value)| json!({ "name": name, "valueString": value }));
    parameters(&entries.collect())
}

async fn manifest(site: &Site, body: &Value) -> Value {
    let started = site.post(BALLOT, body).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.json());
    site.finish(started.header("content-location")).await
}

#[actix_web::test]
async fn r_019_r_020_kick_offs_are_by_post_and_by_nothing_else() {
    let site = Site::quiet();
    for path in [
        BALLOT,
        "/default/fhir/$export-v4",
        "/default/fhir/Patient/%24export-v4",
        "/default/fhir/Group/everyone/$export-v4",
    ] {
        let got = site.post(path, &asked(&[("_type", "Patient")])).await;
        assert_eq!(got.status, StatusCode::ACCEPTED, "{path}");
        assert!(got.header("content-location").starts_with(PUBLIC));
        for request in [
            TestRequest::get(),
            TestRequest::put(),
            TestRequest::delete(),
        ] {
            let got = site.send(request.uri(path)).await;
            assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(got.issue(), "not-supported");
            assert_eq!(got.header("allow"), "POST");
        }
    }
    assert_eq!(
        site.post(BALLOT, &parameters(&json!([]))).await.status,
        StatusCode::ACCEPTED
    );
    let refused = |got: Got| (got.status.as_u16(), got.issue());
    let in_url = site
        .post(&format!("{BALLOT}?_type=Patient"), &asked(&[]))
        .await;
    assert_eq!(refused(in_url), (400, "invalid".to_owned()));
    let other = site
        .post(BALLOT, &json!({ "resourceType": "Patient" }))
        .await;
    assert_eq!(refused(other), (400, "structure".to_owned()));
    let form = TestRequest::post().uri(BALLOT).set_payload("_type=Patient");
    let form = form.insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"));
    let form = site.send(form).await;
    assert_eq!(refused(form), (415, "not-supported".to_owned()));
}

#[actix_web::test]
async fn r_022_entries_repeat_and_hold_no_lists() {
    let site = Site::quiet();
    site.work();
    let repeats = asked(&[("_type", "Patient"), ("_type", "Observation")]);
    let manifest = manifest(&site, &repeats).await;
    let output = manifest["output"].as_array().unwrap();
    for kind in ["Patient", "Observation"] {
        assert!(output.iter().any(|entry| entry["type"] == kind), "{kind}");
    }
    for (name, value) in [
        ("_type", "Patient,Observation"),
        ("_elements", "Patient.id,Patient.name"),
        (
            "_typeFilter",
            "Patient?gender=male,Observation?status=final",
        ),
    ] {
        let got = site.post(BALLOT, &asked(&[(name, value)])).await;
        assert_eq!(
            (got.status.as_u16(), got.issue().as_str()),
            (400, "invalid")
        );
        let text = got.json()["issue"][0]["diagnostics"].to_string();
        assert!(text.contains("one entry"), "{text}");
        // The third version takes the same list.
        let third = site.post(EXPORT, &asked(&[(name, value)])).await;
        assert_eq!(third.status, StatusCode::ACCEPTED, "R-021: {name}");
    }
}

///
#[actix_web::test]
async fn r_136_r_175_the_manifest_is_the_ballots() {
    let site = Site::quiet();
    site.work();
    let since = asked(&[("_since", "2020-01-01T00:00:00Z")]);
    let manifest = manifest(&site, &since).await;
    let keys: Vec<&String> = manifest.as_object().unwrap().keys().collect();
    let mut known = [
        "manifestType",
        "transactionTime",
        "requiresAccessToken",
        "outputFormat",
        "output",
        "deleted",
        "outcome",
    ];
    known.sort_unstable();
    assert!(
        keys.iter().all(|key| known.contains(&key.as_str())),
        "{keys:?}"
    );
    assert_eq!(
        manifest["manifestType"],
        "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkDataManifest"
    );
    assert_eq!(manifest["outputFormat"], "application/fhir+ndjson");
    assert_eq!(manifest["requiresAccessToken"], false);
    for entry in manifest["output"].as_array().unwrap() {
        assert!(entry["type"].is_string(), "R-143");
        let file = site.get(entry["url"].as_str().unwrap()).await;
        assert_eq!(entry["fileSize"], file.body.len(), "R-148");
        let lines = std::str::from_utf8(&file.body).unwrap().lines().count();
        assert_eq!(entry["count"], lines);
        let extension = &entry["extension"][0];
        assert!(
            extension["url"].is_string() && extension["valueString"].is_string(),
            "R-174"
        );
    }
    let deleted = &manifest["deleted"][0];
    assert!(
        deleted["url"].is_string() && deleted.get("type").is_none(),
        "R-160"
    );
}

#[actix_web::test]
async fn r_163_r_167_messages_are_outcomes_counted_by_severity() {
    let site = Site::quiet();
    site.work();
    let body = asked(&[("colour", "red"), ("_type", "Patient"), ("_type", "Foo")]);
    let kind = (header::CONTENT_TYPE, "application/fhir+json");
    let lenient = ("Prefer", "respond-async, handling=lenient");
    let request = TestRequest::post().uri(BALLOT).insert_header(kind);
    let request = request.insert_header(lenient).set_payload(body.to_string());
    let started = site.send(request).await;
    let manifest = site.finish(started.header("content-location")).await;
    let [outcome] = &manifest["outcome"].as_array().unwrap()[..] else {
        panic!("{manifest}");
    };
    assert!(outcome.get("type").is_none());
    let counts = outcome["countSeverity"].as_array().unwrap();
    let warnings = counts.iter().find(|one| one["code"] == "warning").unwrap();
    assert_eq!(warnings["count"], 2);
    let all: u64 = counts
        .iter()
        .map(|one| one["count"].as_u64().unwrap())
        .sum();
    assert_eq!(outcome["count"], all);
    assert!(manifest.get("error").is_none());
}

/// The names of the two are never mixed.
#[actix_web::test]
async fn t_041_the_third_versions_manifest_is_as_ever_beside_it() {
    let site = Site::wanting(Policy {
        duplicates: Duplicates::Join,
        ..Policy::default()
    });
    site.work();
    let ballot = manifest(&site, &asked(&[])).await;
    assert!(ballot.get("request").is_none() && ballot.get("error").is_none());
    // Another form is another export, even where the same one is joined.
    let (_, third) = site.export(EXPORT).await;
    for key in [
        "transactionTime",
        "request",
        "requiresAccessToken",
        "output",
        "error",
    ] {
        assert!(third.get(key).is_some(), "{key}");
    }
    for key in ["manifestType", "outputFormat", "outcome"] {
        assert!(third.get(key).is_none(), "{key}");
    }
    assert!(third["output"][0]["extension"].is_object(), "R-173");
}

#[actix_web::test]
async fn r_213_both_versions_are_advertised() {
    let site = Site::quiet();
    let metadata = site.get("/default/fhir/metadata").await.json();
    let operations = metadata["rest"][0]["operation"].as_array().unwrap();
    let names: Vec<&Value> = operations.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["export", "export-v4"]);
    for id in ["export-v4", "patient-export-v4", "group-export-v4"] {
        let path = format!("/default/fhir/OperationDefinition/{id}");
        let definition = site.get(&path).await.json();
        assert_eq!(
            (&definition["id"], &definition["code"]),
            (&json!(id), &json!("export-v4"))
        );
    }
}
