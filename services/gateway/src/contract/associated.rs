//! Provenances that come along (`includeAssociatedData`).

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use sluice_fhir::ResourceType;
use sluice_testkit::SmallSource;

use super::{EXPORT, Site, parameters};

/// About a patient two, about an Observation one, about nobody one.
pub(super) fn source() -> SmallSource {
    let provenance = |(id, about, day): (&str, &str, u32)| {
        json!({
            "resourceType": "Provenance",
            "id": id,
            "target": [{ "reference": about }],
            "recorded": format!("2026-01-0{day}T00:00:00Z"),
        })
        .to_string()
    };
    let lines = [
        ("new", "Patient/p1", 2),
        ("old", "Patient/p1", 1),
        ("other", "Observation/o1", 3),
        ("stray", "Patient/nobody", 4),
    ];
    SmallSource::of(3, 2).with(ResourceType::PROVENANCE, lines.map(provenance))
}

/// Ids of the Provenances that a manifest names, and its other types.
pub(super) async fn provenances(site: &Site, manifest: &Value) -> (Vec<String>, Vec<String>) {
    let (mut ids, mut others) = (Vec::new(), Vec::new());
    for entry in manifest["output"].as_array().unwrap() {
        if entry["type"] != "Provenance" {
            others.push(entry["type"].as_str().unwrap().to_owned());
            continue;
        }
        let body = site.get(entry["url"].as_str().unwrap()).await.body;
        let lines = std::str::from_utf8(&body).unwrap().lines();
        let read = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        ids.extend(read.map(|line| line["id"].as_str().unwrap().to_owned()));
    }
    ids.sort_unstable();
    others.sort_unstable();
    others.dedup();
    (ids, others)
}

#[actix_web::test]
async fn r_068_what_is_asked_for_comes_along_and_nothing_else() {
    let mut site = Site::quiet();
    site.serve(source());
    site.work();
    let (latest, relevant) = ("LatestProvenanceResources", "RelevantProvenanceResources");
    for (query, ids) in [
        ("_type=Patient".to_owned(), &[][..]),
        (
            "_type=Patient,Provenance".to_owned(),
            &["new", "old", "other", "stray"],
        ),
        (
            format!("_type=Patient&includeAssociatedData={latest}"),
            &["new"],
        ),
        (
            format!("_type=Patient&includeAssociatedData={relevant}"),
            &["new", "old"],
        ),
        (
            format!("_type=Patient,Provenance&includeAssociatedData={latest}"),
            &["new"],
        ),
        (
            format!("_type=Patient,Provenance&includeAssociatedData={relevant}"),
            &["new", "old", "other", "stray"],
        ),
        (
            format!(
                "_type=Patient&_typeFilter=Patient%3F_id%3Dp2&includeAssociatedData={relevant}"
            ),
            &[],
        ),
        (format!("includeAssociatedData={latest}"), &["new", "other"]),
    ] {
        let (_, manifest) = site.export(&format!("{EXPORT}?{query}")).await;
        assert_eq!(provenances(&site, &manifest).await.0, ids, "{query}");
        assert_eq!(manifest["error"], json!([]), "{query}");
    }
}

/// the ballot's form is a Coding, repeated.
#[actix_web::test]
async fn r_067_a_coding_names_what_comes_along() {
    let mut site = Site::quiet();
    site.serve(source());
    site.work();
    let coding = |code: &str| {
        let system = "http://hl7.org/fhir/uv/bulkdata/CodeSystem/include-associated-data";
        json!({ "name": "includeAssociatedData", "valueCoding": { "system": system, "code": code } })
    };
    let asked = json!([
        { "name": "_type", "valueString": "Patient" },
        coding("LatestProvenanceResources"),
        coding("RelevantProvenanceResources"),
    ]);
    for path in [EXPORT.to_owned(), format!("{EXPORT}-v4")] {
        let started = site.post(&path, &parameters(&asked)).await;
        assert_eq!(started.status, StatusCode::ACCEPTED, "{path}");
        let manifest = site.finish(started.header("content-location")).await;
        let urls = manifest["output"].as_array().unwrap().len();
        assert_eq!(urls, 2, "{path}: a file of Patients and one of Provenances");
    }
}
