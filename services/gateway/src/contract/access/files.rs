//! Files that go with the token (R-179, C-022, C-046).

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use sluice_engine::Files;
use sluice_testkit::Faults;

use super::super::deleted::{LINE, since};
use super::super::{EXPORT, local};
use super::Secured;

#[tokio::test]
async fn r_179_files_need_the_token_of_their_client_and_type() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Stream);
    secured.site.work();
    let token = secured.token("default", "owner", "system/*.rs").await;
    let (_, manifest) = secured.export(EXPORT, &token).await;
    assert_eq!(manifest["requiresAccessToken"], true);
    let entries = manifest["output"].as_array().unwrap();
    let url = |kind: &str| {
        let entry = entries.iter().find(|entry| entry["type"] == kind).unwrap();
        entry["url"].as_str().unwrap().to_owned()
    };
    let (patients, observations) = (url("Patient"), url("Observation"));
    assert!(!patients.contains('?'), "it is no capability link");
    let bare = secured
        .send(TestRequest::get().uri(local(&patients)), None)
        .await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED, "T-073");
    assert_eq!(secured.get(&patients, &token).await.status, StatusCode::OK);

    let part = secured.token("default", "owner", "system/Patient.rs").await;
    assert_eq!(secured.get(&patients, &part).await.status, StatusCode::OK);
    let got = secured.get(&observations, &part).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::FORBIDDEN, "forbidden")
    );
    assert!(
        got.header("www-authenticate")
            .contains("insufficient_scope")
    );
    let stranger = secured.token("default", "stranger", "system/*.rs").await;
    let got = secured.get(&patients, &stranger).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::NOT_FOUND, "not-found")
    );
    // A signature of the other mode is of no use here.
    let signed = format!("{patients}?expires=99999999999&signature=00");
    let got = secured
        .send(TestRequest::get().uri(local(&signed)), None)
        .await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn ranges_and_gzip_work_with_the_token_too() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Redirect);
    secured.site.work();
    let token = secured.token("default", "owner", "system/*.rs").await;
    let (_, manifest) = secured
        .export(&format!("{EXPORT}?_type=Patient"), &token)
        .await;
    let url = manifest["output"][0]["url"].as_str().unwrap();
    // This store has no links of its own, so a redirect would lead nowhere.
    let whole = secured.get(url, &token).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.header("content-type"), "application/fhir+ndjson");
    let request = || TestRequest::get().uri(local(url));
    let part = request().insert_header((header::RANGE, "bytes=5-9"));
    let got = secured.send(part, Some(&token)).await;
    assert_eq!(got.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(got.body, whole.body.slice(5..10));
    let packed = request().insert_header((header::ACCEPT_ENCODING, "gzip"));
    let got = secured.send(packed, Some(&token)).await;
    assert_eq!(got.header("content-encoding"), "gzip");
}

/// Bundles of deletions name ids of every type of the job, so the token must open them all (T-032, C-022).
#[tokio::test]
async fn deletions_need_a_token_that_opens_all_of_the_export() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Stream);
    secured.site.work();
    let token = secured.token("default", "owner", "system/*.rs").await;
    let path = since(&format!("{EXPORT}?_type=Patient,Observation"));
    let (_, manifest) = secured.export(&path, &token).await;
    let url = manifest["deleted"][0]["url"].as_str().unwrap();
    let bare = secured.send(TestRequest::get().uri(local(url)), None).await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
    let exact = "system/Patient.rs system/Observation.rs";
    for scope in ["system/*.rs", exact] {
        let token = secured.token("default", "owner", scope).await;
        let got = secured.get(url, &token).await;
        assert_eq!(got.status, StatusCode::OK, "{scope}");
        assert_eq!(got.body, LINE);
    }
    for scope in ["system/Patient.rs", "system/Bundle.rs"] {
        let token = secured.token("default", "owner", scope).await;
        let got = secured.get(url, &token).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{scope}");
    }
    let stranger = secured.token("default", "stranger", "system/*.rs").await;
    let got = secured.get(url, &stranger).await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
}

/// What is offered while the export runs opens to the same tokens as what is finished (C-022, E-06).
#[tokio::test]
async fn early_files_and_pages_need_the_token_of_their_client_and_type() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Stream);
    let token = secured.token("default", "owner", "system/*.rs").await;
    let path = format!("{EXPORT}?allowPartialManifests=true");
    let started = secured.get(&path, &token).await;
    let status = started.header("content-location").to_owned();
    let page = loop {
        let got = secured.get(&status, &token).await;
        assert_eq!(got.status, StatusCode::ACCEPTED);
        if !got.body.is_empty() {
            break got.json();
        }
        secured.site.clock.pass(Duration::from_secs(1));
        secured.site.one_step().await;
    };
    assert_eq!(page["requiresAccessToken"], true);
    let observations = page["output"][0]["url"].as_str().unwrap();
    let next = page["link"][0]["url"].as_str().unwrap();
    let first = format!("{status}?page=1");
    let expect = async |url: &str, token: Option<&str>, status| {
        let request = TestRequest::get().uri(local(url));
        assert_eq!(secured.send(request, token).await.status, status, "{url}");
    };
    for url in [observations, &first] {
        expect(url, Some(&token), StatusCode::OK).await;
    }
    expect(next, Some(&token), StatusCode::ACCEPTED).await;
    let part = secured.token("default", "owner", "system/Patient.rs").await;
    let stranger = secured.token("default", "stranger", "system/*.rs").await;
    for url in [observations, &first, next] {
        expect(url, None, StatusCode::UNAUTHORIZED).await;
        expect(url, Some(&part), StatusCode::FORBIDDEN).await;
        expect(url, Some(&stranger), StatusCode::NOT_FOUND).await;
    }
}

/// Files of blocks hold resources of every type of the job, so the token must open them all (R-179, C-022).
#[tokio::test]
async fn files_of_blocks_need_a_token_that_opens_all_of_the_export() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Stream);
    secured.site.work();
    let token = secured.token("default", "owner", "system/*.rs").await;
    let path = format!("{EXPORT}?{}", super::super::organized::QUERY);
    let (_, manifest) = secured.export(&path, &token).await;
    let url = manifest["output"][0]["url"].as_str().unwrap();
    for (scope, status) in [
        ("system/*.rs", StatusCode::OK),
        ("system/Patient.rs system/Observation.rs", StatusCode::OK),
        ("system/Patient.rs", StatusCode::FORBIDDEN),
        ("system/Observation.rs", StatusCode::FORBIDDEN),
    ] {
        let token = secured.token("default", "owner", scope).await;
        assert_eq!(secured.get(url, &token).await.status, status, "{scope}");
    }
    // What heads the blocks must be opened, too, if nobody asked for types.
    let part = secured.token("default", "owner", "system/Observation.rs");
    let path = format!("{EXPORT}?organizeOutputBy=Patient");
    let got = secured.get(&path, &part.await).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
}
