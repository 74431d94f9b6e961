//! What is chosen by `_typeFilter` and `_elements`, how large files are, and where a job's own status stands.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use sluice_testkit::{Reading, SmallSource};

use super::{EXPORT, Got, Site, parameters};

/// The lines of all files of a type.
async fn lines(site: &Site, manifest: &Value, kind: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    for entry in manifest["output"].as_array().unwrap() {
        if entry["type"] != kind {
            continue;
        }
        let body = site.get(entry["url"].as_str().unwrap()).await.body;
        let text = std::str::from_utf8(&body).unwrap().to_owned();
        let here = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let before = lines.len();
        lines.extend(here);
        assert_eq!(json!(lines.len() - before), entry["count"]);
    }
    lines
}

fn ids(lines: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = lines
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

/// by GET, where each query is encoded as a whole (T-011).
#[actix_web::test]
async fn r_076_of_a_filtered_type_only_what_meets_a_query_comes() {
    let site = Site::quiet();
    site.work();
    let path = format!(
        "{EXPORT}?_typeFilter=Observation%3Fsubject%3DPatient%2Fp1%26_id%3Do1,o40,o41&_typeFilter=Observation%3F_id%3Do0"
    );
    let (_, manifest) = site.export(&path).await;
    let (_, all) = site.export(EXPORT).await;
    let whole = lines(&site, &all, "Observation").await;
    let of_p1 = |line: &&Value| line["subject"]["reference"] == "Patient/p1";
    let wanted: Vec<Value> = { whole.iter() }
        .filter(|line| {
            let id = line["id"].as_str().unwrap();
            id == "o0" || (of_p1(line) && ["o1", "o40", "o41"].contains(&id))
        })
        .cloned()
        .collect();
    assert!(wanted.len() > 1 && wanted.len() < whole.len());
    assert_eq!(
        ids(&lines(&site, &manifest, "Observation").await),
        ids(&wanted)
    );
    assert_eq!(lines(&site, &manifest, "Patient").await.len(), 3);
    assert_eq!(manifest["error"], json!([]));
}

#[actix_web::test]
async fn r_150_a_type_of_which_nothing_is_chosen_has_no_file() {
    let site = Site::quiet();
    site.work();
    let body = parameters(&json!([
        { "name": "_typeFilter", "valueString": "Observation?_id=nothing" },
    ]));
    let started = site.post(EXPORT, &body).await;
    let manifest = site.finish(started.header("content-location")).await;
    assert!(lines(&site, &manifest, "Observation").await.is_empty());
    let types = manifest["output"].as_array().unwrap().iter();
    assert!(
        types
            .map(|entry| &entry["type"])
            .all(|kind| kind == "Patient")
    );
}

#[actix_web::test]
async fn r_061_trimmed_resources_are_tagged() {
    let site = Site::quiet();
    site.work();
    let path = format!("{EXPORT}?_elements=Observation.id");
    let (_, manifest) = site.export(&path).await;
    let observations = lines(&site, &manifest, "Observation").await;
    assert_eq!(observations.len(), 120);
    for line in observations {
        assert_eq!(line["meta"]["tag"][0]["code"], "SUBSETTED");
        assert_eq!(line.get("subject"), None);
    }
    for line in lines(&site, &manifest, "Patient").await {
        assert_eq!(line.get("meta"), None, "R-059: another type");
    }
}

/// refused by name, or ignored and told.
#[actix_web::test]
async fn r_083_what_cannot_be_chosen_by_is_refused() {
    let site = Site::quiet();
    for query in [
        "_typeFilter=Patient%3Fx%3D1",
        "_typeFilter=Patient%3F_sort%3Dname",
        "_typeFilter=Observation%3Fpatient.name%3Dx",
        "_typeFilter=Foo%3Fname%3Dx",
        "_type=Patient&_typeFilter=Observation%3Fcode%3Dx",
        "_elements=colour",
        "_elements=Patient.name.family",
    ] {
        let got = site.get(&format!("{EXPORT}?{query}")).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(got.issue(), "not-supported", "{query}");
    }
}

/// no file is larger, and nothing is lost between them.
#[actix_web::test]
async fn r_096_files_keep_to_the_maximum_that_is_asked_for() {
    let mut site = Site::quiet();
    let source = SmallSource::of(1, 30_000);
    site.serve(source);
    site.work();
    let path = format!("{EXPORT}?_maximumFileSize=1048576&_type=Observation,Patient");
    let (_, manifest) = site.export(&path).await;
    let bytes = |entry: &Value| entry["extension"]["urn:sluice:bytes"].as_u64().unwrap();
    let sizes: Vec<u64> = manifest["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(bytes)
        .collect();
    assert!(
        sizes.len() > 2 && sizes.iter().all(|size| *size <= 1 << 20),
        "{sizes:?}"
    );
    assert_eq!(lines(&site, &manifest, "Observation").await.len(), 30_000);
    let refused = site.get(&format!("{EXPORT}?_maximumFileSize=0")).await;
    assert_eq!(
        (refused.status, refused.issue().as_str()),
        (StatusCode::BAD_REQUEST, "invalid")
    );
}

async fn separate(site: &Site) -> String {
    let request = TestRequest::get().uri(EXPORT);
    let prefer = ("Prefer", "respond-async, separate-export-status");
    let started = site.send(request.insert_header(prefer)).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    let applied = started.header("preference-applied");
    assert_eq!(applied, "respond-async, separate-export-status", "R-033");
    started.header("content-location").to_owned()
}

/// Polls, each time with 200, until the job has ended.
async fn ended(site: &Site, status: &str) -> Got {
    loop {
        site.clock.pass(Duration::from_mins(5));
        let got = site.get(status).await;
        assert_eq!(got.status, StatusCode::OK);
        if got.header("x-export-status") != "202 Accepted" {
            return got;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// remembered for the job, since polls do not repeat it (T-038).
#[actix_web::test]
async fn r_108_the_status_of_the_job_has_a_header_of_its_own() {
    let site = Site::quiet();
    let status = separate(&site).await;
    let running = site.get(&status).await;
    assert_eq!(running.status, StatusCode::OK);
    assert_eq!(running.header("x-export-status"), "202 Accepted");
    assert!(running.body.is_empty() && !running.header("x-progress").is_empty());
    site.work();
    let ended = ended(&site, &status).await;
    assert_eq!(ended.header("x-export-status"), "200 OK");
    assert!(ended.json()["output"].is_array());
    let plain = site.get(EXPORT).await;
    assert_eq!(plain.header("preference-applied"), "");
    let deleted = site
        .send(TestRequest::delete().uri(super::local(&status)))
        .await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
    assert_eq!(
        site.get(&status).await.status,
        StatusCode::NOT_FOUND,
        "of the poll itself"
    );
}

#[actix_web::test]
async fn r_108_a_failed_job_is_told_apart_from_a_failed_poll() {
    let mut site = Site::quiet();
    site.serve(SmallSource::of(1, 1).reading(Reading::Fails));
    let status = separate(&site).await;
    site.work();
    let failed = ended(&site, &status).await;
    assert_eq!(
        failed.header("x-export-status"),
        "500 Internal Server Error"
    );
    assert_eq!(failed.json()["resourceType"], "OperationOutcome");
}
