//! Exports organized by Patient: their manifest in both versions of the guide, and the files behind it (R-085, R-144,
//!

use std::collections::BTreeSet;
use std::net::TcpListener;

use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use sluice_client::{ExportOptions, Level, export};
use sluice_engine::Policy;
use sluice_testkit::SmallSource;
use tokio_util::sync::CancellationToken;

use super::files::every_form_of_every_file_is_right;
use super::{EXPORT, PUBLIC, Site, parameters};

pub(super) const QUERY: &str = "organizeOutputBy=Patient&_type=Patient,Observation";

const BY_PATIENT: &str = "organizeOutputBy";

fn source() -> SmallSource {
    SmallSource::of(6, 70)
}

/// One whose patients have more than fits into a file.
fn site(gzip: bool) -> Site {
    let mut site = Site::wanting(Policy {
        gzip,
        ..Policy::default()
    });
    site.serve(source());
    site.work();
    site
}

/// The lines of each file.
async fn files(site: &Site, manifest: &Value) -> Vec<Vec<String>> {
    let mut files = Vec::new();
    for entry in manifest["output"].as_array().unwrap() {
        let got = site.get(entry["url"].as_str().unwrap()).await;
        assert_eq!(got.status, StatusCode::OK);
        let text = std::str::from_utf8(&got.body).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(entry["count"], lines.len(), "headers are counted");
        files.push(lines);
    }
    files
}

fn is_header(line: &str) -> bool {
    let line: Value = serde_json::from_str(line).unwrap();
    line["resourceType"] == "Parameters" && line["parameter"][0]["name"] == "header"
}

/// Checks entries and files of a manifest of either version.
async fn check(site: &Site, manifest: &Value) {
    assert_eq!(manifest["outputOrganizedBy"], "Patient", "R-152");
    assert!(manifest.get("outputOrganizedByDetail").is_none(), "R-154");
    let entries = manifest["output"].as_array().unwrap();
    let files = files(site, manifest).await;
    let (mut lines, mut torn, mut before) = (Vec::new(), 0, None);
    for (entry, file) in entries.iter().zip(&files) {
        assert!(entry.get("type").is_none(), "R-144");
        assert!(is_header(&file[0]), "R-192");
        let last = file.iter().rfind(|line| is_header(line)).unwrap();
        if let Some((url, header)) = before.take() {
            assert_eq!(entry["url"], url, "R-155: links lead to the next file");
            assert_eq!(&file[0], header, "R-195");
        }
        if let Some(next) = entry.get("continuesInFile") {
            before = Some((next.clone(), last));
            torn += 1;
        }
        lines.extend(file.iter().filter(|line| !is_header(line)).cloned());
    }
    assert!(before.is_none());
    assert!(torn >= 6, "{torn} blocks go on");
    lines.sort_unstable();
    // Each patient's are the patient's alone here, so the blocks hold the export, and nothing twice.
    assert_eq!(lines, source().lines());
}

#[actix_web::test]
async fn r_144_r_152_r_155_the_manifest_says_by_what_files_are_organized() {
    for gzip in [false, true] {
        let site = site(gzip);
        for path in [
            EXPORT,
            "/default/fhir/$export",
            "/default/fhir/Group/everyone/$export",
        ] {
            let (_, manifest) = site.export(&format!("{path}?{QUERY}")).await;
            check(&site, &manifest).await;
            assert!(manifest["request"].as_str().unwrap().contains(BY_PATIENT));
        }
        let (_, manifest) = site.export(&format!("{EXPORT}?{QUERY}")).await;
        every_form_of_every_file_is_right(&site, &manifest["output"]).await;
    }
}

#[actix_web::test]
async fn r_153_r_154_the_ballots_manifest_says_so_too() {
    let site = site(false);
    let body = parameters(&json!([
        { "name": BY_PATIENT, "valueString": "Patient" },
        { "name": "_type", "valueString": "Patient" },
        { "name": "_type", "valueString": "Observation" },
    ]));
    let started = site.post("/default/fhir/Patient/$export-v4", &body).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    let manifest = site.finish(started.header("content-location")).await;
    check(&site, &manifest).await;

    let nothing = parameters(&json!([]));
    let plain = site.post("/default/fhir/Patient/$export-v4", &nothing);
    let plain = plain.await;
    let manifest = site.finish(plain.header("content-location")).await;
    assert!(manifest.get("outputOrganizedBy").is_none(), "R-153");
    assert!(manifest["output"][0]["type"].is_string());
}

/// what is ignored is told, and files are as if it had not been asked.
#[actix_web::test]
async fn r_086_r_087_other_types_are_ignored_under_lenient_handling_and_told() {
    let site = site(false);
    let request = TestRequest::get().uri("/default/fhir/$export?organizeOutputBy=Practitioner");
    let lenient = (
        header::HeaderName::from_static("prefer"),
        "handling=lenient, respond-async",
    );
    let started = site.send(request.insert_header(lenient)).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    let manifest = site.finish(started.header("content-location")).await;
    assert!(manifest.get("outputOrganizedBy").is_none());
    for entry in manifest["output"].as_array().unwrap() {
        assert!(entry["type"].is_string(), "R-143");
    }
    let told = site
        .get(manifest["error"][0]["url"].as_str().unwrap())
        .await;
    assert!(
        std::str::from_utf8(&told.body)
            .unwrap()
            .contains(BY_PATIENT)
    );
}

/// pages say the same, and a block that goes on is offered whole.
#[actix_web::test]
async fn t_046_pages_are_organized_alike_and_hold_whole_blocks() {
    let mut site = Site::quiet();
    site.serve(SmallSource::of(300, 60));
    let path = format!("{EXPORT}?{QUERY}&allowPartialManifests=true");
    let started = site.get(&path).await;
    let status = started.header("content-location").to_owned();
    let page = loop {
        let got = site.get(&status).await;
        assert_eq!(got.status, StatusCode::ACCEPTED, "it ended too early");
        if !got.body.is_empty() {
            break got.json();
        }
        site.clock.pass(std::time::Duration::from_mins(1));
        site.one_step().await;
    };
    assert_eq!(page["outputOrganizedBy"], "Patient");
    let entries = page["output"].as_array().unwrap();
    let urls: BTreeSet<&str> = entries
        .iter()
        .map(|entry| entry["url"].as_str().unwrap())
        .collect();
    let next = |entry: &Value| entry.get("continuesInFile").cloned();
    let next: Vec<Value> = entries.iter().filter_map(next).collect();
    assert!(!next.is_empty());
    for url in &next {
        assert!(urls.contains(url.as_str().unwrap()), "{PUBLIC}: {url}");
    }
}

/// Over a real socket, with our own client.
#[actix_web::test]
async fn a_client_fetches_and_verifies_files_of_blocks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let public = format!("http://{}", listener.local_addr().unwrap());
    let site = site(false);
    let gateway = site.another(|settings| settings.public_url.clone_from(&public));
    tokio::spawn(crate::run(gateway, listener, site.stop.clone()));
    let folder = tempfile::tempdir().unwrap();
    let base = format!("{public}/default/fhir").parse().unwrap();
    let mut options = ExportOptions::new(base, Level::Patient, folder.path());
    options.organize_by = Some("Patient".to_owned());
    let summary = export(&options, &(), CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(summary.unchecked, 0);
    let mut lines = Vec::new();
    for number in 1..=summary.files {
        let file = folder
            .path()
            .join(format!("Patient-blocks.{number}.ndjson"));
        let text = std::fs::read_to_string(file).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    assert_eq!(u64::try_from(lines.len()).unwrap(), summary.resources);
    lines.retain(|line| !is_header(line));
    lines.sort_unstable();
    assert_eq!(lines, source().lines());
}
