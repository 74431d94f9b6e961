//! What tokens open where the rules are a preset's.

use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use sluice_runtime::PresetSetting;
use sluice_testkit::Faults;

use super::super::{EXPORT, local, presets};
use super::Secured;

fn secured(preset: PresetSetting) -> Secured {
    Secured::with(&Faults::default(), |access| {
        let told = presets::access(preset);
        (access.levels, access.files, access.rules) = (told.levels, told.files, told.rules);
    })
}

const GROUP: &str = "/default/fhir/Group/everyone/$export";

#[tokio::test]
async fn c_043_polls_ask_whose_the_export_is_and_not_what_the_token_opens() {
    let secured = secured(PresetSetting::Millennium);
    let token = secured.token("default", "owner", "system/*.rs").await;
    let narrow = secured.token("default", "owner", "system/Patient.rs").await;
    let stranger = secured.token("default", "stranger", "system/*.rs").await;
    let started = secured.get(GROUP, &token).await;
    let status = started.header("content-location").to_owned();
    assert_eq!(
        secured.get(&status, &narrow).await.status,
        StatusCode::ACCEPTED
    );
    let theirs = secured.get(&status, &stranger).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
    let delete = TestRequest::delete().uri(local(&status));
    let deleted = secured.send(delete, Some(&narrow)).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
}

/// C-015, C-018, C-022.
#[tokio::test]
async fn c_015_tokens_that_do_not_do_have_soarians_codes() {
    let secured = secured(PresetSetting::Soarian);
    let asking = |url: &str| {
        TestRequest::get()
            .uri(local(url))
            .insert_header((header::ACCEPT, "application/fhir+json"))
            .insert_header(("Prefer", "respond-async"))
    };
    for token in [None, Some("x")] {
        let got = secured.send(asking(EXPORT), token).await;
        assert_eq!(
            (got.status.as_u16(), got.issue().as_str()),
            (401, "unknown")
        );
        assert!(
            got.header("www-authenticate").starts_with("Bearer"),
            "R-254"
        );
    }
    let narrow = secured.token("default", "owner", "system/Patient.rs").await;
    let beyond = asking("/default/fhir/Patient/$export?_type=Patient,Observation");
    let got = secured.send(beyond, Some(&narrow)).await;
    assert_eq!(
        (got.status.as_u16(), got.issue().as_str()),
        (403, "security")
    );

    secured.site.work();
    let token = secured.token("default", "owner", "system/*.rs").await;
    let started = secured.send(asking(EXPORT), Some(&token)).await;
    let status = started.header("content-location").to_owned();
    let manifest = loop {
        let got = secured.send(asking(&status), Some(&token)).await;
        if got.status == StatusCode::OK {
            break got.json();
        }
        assert_eq!(got.status, StatusCode::ACCEPTED);
        secured.site.clock.pass(std::time::Duration::from_secs(1));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    };
    let entries = manifest["output"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["type"] == "Observation");
    let file = entry.unwrap()["url"].as_str().unwrap();
    assert_eq!(secured.get(file, &token).await.status, StatusCode::OK);
    let got = secured.get(file, &narrow).await;
    assert_eq!(
        (got.status.as_u16(), got.issue().as_str()),
        (403, "security")
    );
}
