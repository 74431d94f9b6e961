//! `deleted` in the manifest, and the files behind it (R-156 to R-160).

use std::net::TcpListener;

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use sluice_client::{ExportOptions, Level, export};
use sluice_engine::Policy;
use tokio_util::sync::CancellationToken;

use super::{EXPORT, Site};

/// What the site's source says of what was deleted.
pub(super) const LINE: &str = concat!(
    r#"{"resourceType":"Bundle","type":"transaction","entry":["#,
    r#"{"request":{"method":"DELETE","url":"Observation/gone-1"}},"#,
    r#"{"request":{"method":"DELETE","url":"Patient/gone-2"}}]}"#,
    "\n",
);

pub(super) fn since(path: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}_since=2020-01-01T00:00:00Z")
}

#[actix_web::test]
async fn r_160_deleted_items_are_like_those_of_output() {
    for gzip in [false, true] {
        let site = Site::wanting(Policy {
            gzip,
            ..Policy::default()
        });
        site.work();
        let (_, manifest) = site.export(&since(EXPORT)).await;
        let [entry] = &manifest["deleted"].as_array().unwrap()[..] else {
            panic!("{}", manifest["deleted"]);
        };
        assert_eq!(entry["type"], "Bundle");
        assert_eq!(entry["count"], 1, "Bundles, not entries (T-032)");
        let output = manifest["output"][0].as_object().unwrap();
        let keys = |entry: &serde_json::Map<String, Value>| entry.keys().cloned().collect();
        let (theirs, ours): (Vec<String>, Vec<String>) =
            (keys(output), keys(entry.as_object().unwrap()));
        assert_eq!(theirs, ours);
        super::files::every_form_of_every_file_is_right(&site, &manifest["deleted"]).await;
        let got = site.get(entry["url"].as_str().unwrap()).await;
        assert_eq!(got.status, StatusCode::OK);
        assert_eq!(got.header("content-type"), "application/fhir+ndjson");
        assert_eq!(got.body, LINE);
    }
}

/// R-157: what version 1 of the guide does not know is left out where it would be empty.
#[actix_web::test]
async fn r_157_nothing_deleted_is_no_key() {
    let site = Site::quiet();
    site.work();
    let other = since(&format!("{EXPORT}?_type=Condition"));
    for path in [EXPORT, &other] {
        let (_, manifest) = site.export(path).await;
        assert_eq!(manifest.get("deleted"), None, "{path}");
        assert!(manifest["output"].is_array() && manifest["error"].is_array());
    }
}

#[actix_web::test]
async fn t_032_of_the_types_asked_for_only() {
    let site = Site::quiet();
    site.work();
    let path = since(&format!("{EXPORT}?_type=Patient"));
    let (_, manifest) = site.export(&path).await;
    let url = manifest["deleted"][0]["url"].as_str().unwrap();
    let got = site.get(url).await.json();
    let request = json!({ "method": "DELETE", "url": "Patient/gone-2" });
    assert_eq!(got["entry"], json!([{ "request": request }]));
}

/// Over a real socket, with our own client.
#[actix_web::test]
async fn a_client_finds_what_was_deleted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let public = format!("http://{}", listener.local_addr().unwrap());
    let site = Site::quiet();
    site.work();
    let gateway = site.another(|settings| settings.public_url.clone_from(&public));
    tokio::spawn(crate::run(gateway, listener, site.stop.clone()));
    let folder = tempfile::tempdir().unwrap();
    let base = format!("{public}/default/fhir").parse().unwrap();
    let mut options = ExportOptions::new(base, Level::Patient, folder.path());
    options.since = Some("2020-01-01T00:00:00Z".to_owned());
    let summary = export(&options, &(), CancellationToken::new())
        .await
        .unwrap();
    assert_eq!((summary.resources, summary.deletions), (123, 1));
    let file = folder.path().join("deleted/Bundle.1.ndjson");
    assert_eq!(std::fs::read_to_string(file).unwrap(), LINE);
}
