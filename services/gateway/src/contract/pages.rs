//! Files that are offered while an export runs, and the pages that name them (E-04, E-06).

use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use sluice_testkit::SmallSource;

use super::files::every_form_of_every_file_is_right;
use super::{EXPORT, Got, PUBLIC, Site, local, parameters};

/// Moves an export step by step until it offers files.
async fn until_offered(site: &Site, status: &str) -> Got {
    loop {
        let got = site.get(status).await;
        assert_eq!(got.status, StatusCode::ACCEPTED, "it ended too early");
        if !got.body.is_empty() {
            return got;
        }
        site.clock.pass(Duration::from_mins(1));
        site.one_step().await;
    }
}

fn next(page: &Value) -> Option<String> {
    let link = page.get("link")?;
    assert_eq!(link.as_array().unwrap().len(), 1, "R-168");
    assert_eq!(link[0]["relation"], "next", "R-169");
    Some(link[0]["url"].as_str().unwrap().to_owned())
}

async fn kick_off(site: &Site, query: &str) -> String {
    let started = site.get(&format!("{EXPORT}?{query}")).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    started.header("content-location").to_owned()
}

/// A page without what may differ: the queries of its links to files.
fn fixed(page: &Value) -> Value {
    let mut page = page.clone();
    for list in ["output", "error", "deleted"] {
        for entry in page[list].as_array_mut().into_iter().flatten() {
            let url = entry["url"].as_str().unwrap().split('?').next().unwrap();
            entry["url"] = json!(url);
        }
    }
    page
}

#[actix_web::test]
async fn r_110_t_039_a_running_export_offers_files_only_to_who_allows_it() {
    for query in ["_type=Patient,Observation", "allowPartialManifests=false"] {
        let site = Site::quiet();
        let status = kick_off(&site, query).await;
        loop {
            let got = site.get(&status).await;
            if got.status == StatusCode::OK {
                assert!(got.json().get("link").is_none());
                break;
            }
            assert!(got.body.is_empty(), "T-039");
            site.clock.pass(Duration::from_mins(1));
            site.one_step().await;
        }
    }
    let site = Site::quiet();
    let status = kick_off(&site, "allowPartialManifests=true").await;
    let got = until_offered(&site, &status).await;
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.header("x-progress").contains("% complete"));
    assert!(!got.header("retry-after").is_empty());
    assert!(
        got.header("expires").is_empty(),
        "its files have no end yet"
    );
    // what is offered is there, in every form.
    let page = got.json();
    assert_eq!(
        page["request"],
        format!("{PUBLIC}{EXPORT}?allowPartialManifests=true")
    );
    let lines = every_form_of_every_file_is_right(&site, &page["output"]).await;
    assert!(!lines.is_empty() && lines.len() < site.source.lines().len());
}

/// Provenances that come along wait for all else, which is offered meanwhile.
#[actix_web::test]
async fn r_111_what_is_offered_while_other_chunks_wait_is_there() {
    let mut site = Site::quiet();
    let source = SmallSource::of(40, 40);
    let lines = source.lines();
    site.serve(source);
    let query = "includeAssociatedData=LatestProvenanceResources&allowPartialManifests=true";
    let status = kick_off(&site, query).await;
    let page = until_offered(&site, &status).await.json();
    let job = status.rsplit('/').next().unwrap();
    let sealed = site
        .ports
        .blobs
        .list(&format!("default/{job}/"), None, 1000)
        .await
        .unwrap();
    assert!(!sealed.iter().any(|one| one.key.ends_with("manifest.json")));
    let offered = every_form_of_every_file_is_right(&site, &page["output"]).await;
    assert!(!offered.is_empty() && offered.len() < lines.len());

    site.work();
    // As that poll was told.
    site.clock.pass(Duration::from_mins(1));
    let (mut url, mut files) = (status, Vec::new());
    loop {
        let page = site.finish(&url).await;
        files.extend(page["output"].as_array().unwrap().clone());
        match next(&page) {
            Some(next) => url = next,
            None => break,
        }
    }
    assert_eq!(
        every_form_of_every_file_is_right(&site, &json!(files)).await,
        lines
    );
}

#[actix_web::test]
async fn r_112_r_170_pages_never_change_and_lead_to_every_file_once() {
    let site = Site::quiet();
    let status = kick_off(&site, "allowPartialManifests=true").await;
    let first = until_offered(&site, &status).await.json();
    let second = next(&first).unwrap();
    assert_eq!(second, format!("{status}?page=2"));

    // T-047: not there yet.
    let waiting = site.get(&second).await;
    assert_eq!(waiting.status, StatusCode::ACCEPTED);
    assert!(waiting.body.is_empty() && !waiting.header("retry-after").is_empty());
    // The page that is there is a whole one.
    let again = site.get(&format!("{status}?page=1")).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(fixed(&again.json()), fixed(&first));

    site.work();
    let (mut url, mut files, mut pages) = (status.clone(), Vec::new(), 0);
    loop {
        let page = site.finish(&url).await;
        for key in ["transactionTime", "request", "requiresAccessToken", "error"] {
            assert_eq!(page[key], first[key], "R-170");
        }
        if pages == 0 {
            assert_eq!(fixed(&page), fixed(&first), "R-112");
        }
        let fresh = site.get(&url).await;
        assert_eq!(fixed(&fresh.json()), fixed(&page), "R-112");
        assert!(fresh.header("expires").ends_with("GMT"), "R-127");
        files.extend(page["output"].as_array().unwrap().clone());
        pages += 1;
        match next(&page) {
            Some(next) => url = next,
            None => break,
        }
    }
    assert!(pages > 1);
    let names: BTreeSet<&str> = files
        .iter()
        .map(|file| file["url"].as_str().unwrap().split('?').next().unwrap())
        .collect();
    assert_eq!(names.len(), files.len(), "no file is named twice");
    let lines = every_form_of_every_file_is_right(&site, &json!(files)).await;
    assert_eq!(lines, site.source.lines());
    for none in ["page=0", "page=99", "page=x"] {
        let got = site.get(&format!("{status}?{none}")).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{none}");
    }
}

#[actix_web::test]
async fn t_047_deleting_an_export_ends_its_pages() {
    let site = Site::quiet();
    let status = kick_off(&site, "allowPartialManifests=true").await;
    let page = until_offered(&site, &status).await.json();
    let file = page["output"][0]["url"].as_str().unwrap();
    assert_eq!(site.get(file).await.status, StatusCode::OK);
    let deleted = site.send(TestRequest::delete().uri(local(&status))).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
    for url in [
        &status,
        &next(&page).unwrap(),
        &format!("{status}?page=1"),
        file,
    ] {
        assert_eq!(site.get(url).await.status, StatusCode::NOT_FOUND, "{url}");
    }
}

#[actix_web::test]
async fn r_107_with_separate_export_status_pages_come_with_200() {
    let site = Site::quiet();
    let request =
        TestRequest::get().uri("/default/fhir/Patient/$export?allowPartialManifests=true");
    let request = request.insert_header(("Prefer", "respond-async, separate-export-status"));
    let status = site
        .send(request)
        .await
        .header("content-location")
        .to_owned();
    let page = loop {
        let got = site.get(&status).await;
        assert_eq!(got.status, StatusCode::OK);
        assert_eq!(got.header("x-export-status"), "202 Accepted");
        if !got.body.is_empty() {
            break got.json();
        }
        site.clock.pass(Duration::from_mins(1));
        site.one_step().await;
    };
    for url in [format!("{status}?page=1"), next(&page).unwrap()] {
        let got = site.get(&url).await;
        assert_eq!(
            (got.status, got.header("x-export-status")),
            (StatusCode::OK, "202 Accepted")
        );
        assert_eq!(got.body.is_empty(), url.ends_with("page=2"));
    }
}

#[actix_web::test]
async fn r_088_the_body_may_allow_it_too() {
    let site = Site::quiet();
    let list = json!([{ "name": "allowPartialManifests", "valueBoolean": true }]);
    let started = site.post(EXPORT, &parameters(&list)).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    let page = until_offered(&site, started.header("content-location")).await;
    assert!(next(&page.json()).is_some());
    let list = json!([{ "name": "allowPartialManifests", "valueString": "maybe" }]);
    assert_eq!(
        site.post(EXPORT, &parameters(&list)).await.issue(),
        "invalid"
    );
}
