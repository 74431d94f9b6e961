//! What is written down, and that it is before it happens (G7, G12).

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::Value;
use sluice_engine::Files;
use sluice_model::layout;
use sluice_testkit::{Faults, When};

use super::super::deleted::since;
use super::super::{EXPORT, MOST_WAITING, local};
use super::Secured;

/// Every event that waits, in order.
async fn events(secured: &Secured) -> Vec<Value> {
    let blobs = &secured.site.ports.blobs;
    let outbox = layout::audit_outbox();
    let mut events = Vec::new();
    for info in listed(secured, outbox).await {
        let body = match blobs.get(&info.key).await {
            Ok(body) => body,
            Err(_) => blobs.get(&info.key).await.unwrap(),
        };
        events.extend(body.map(|body| serde_json::from_slice::<Value>(&body).unwrap()));
    }
    events
}

/// What lies there; a call that is to fail once is made twice.
async fn listed(secured: &Secured, prefix: &str) -> Vec<sluice_ports::BlobInfo> {
    let blobs = &secured.site.ports.blobs;
    match blobs.list(prefix, None, 10_000).await {
        Ok(listed) => listed,
        Err(_) => blobs.list(prefix, None, 10_000).await.unwrap(),
    }
}

fn actions(events: &[Value]) -> Vec<String> {
    let word = |event: &Value| {
        let subtypes = event["subtype"].as_array().unwrap();
        let ours = subtypes
            .iter()
            .find(|code| code["system"] == "urn:sluice:audit-action");
        ours.unwrap()["code"].as_str().unwrap().to_owned()
    };
    let mut words: Vec<String> = events.iter().map(word).collect();
    words.sort_unstable();
    words
}

#[tokio::test]
async fn who_did_what_is_written_down() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Stream);
    let owner = secured.token("default", "owner", "system/*.rs").await;
    let stranger = secured.token("default", "stranger", "system/*.rs").await;
    secured.site.work();
    let started = secured
        .get(&format!("{EXPORT}?_type=Patient"), &owner)
        .await;
    let status = started.header("content-location").to_owned();
    let manifest = loop {
        let got = secured.get(&status, &owner).await;
        if got.status == StatusCode::OK {
            break got.json();
        }
        secured.site.clock.pass(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    // What has waited so far is kept from the relay of the coordinator by stopping it.
    secured.site.stop.cancel();
    secured
        .get(manifest["output"][0]["url"].as_str().unwrap(), &owner)
        .await;
    secured.get(&status, &stranger).await;
    secured.send(TestRequest::get().uri(EXPORT), None).await;
    secured.ask("nonsense").await;
    let delete = TestRequest::default()
        .method(Method::DELETE)
        .uri(local(&status));
    secured.send(delete, Some(&owner)).await;
    let mut all = delivered(&secured).await;
    all.extend(events(&secured).await);
    assert_eq!(
        actions(&all),
        [
            "access-refused",
            "access-refused",
            "deleted",
            "file-served",
            "kick-off",
            "manifest-served",
            "token-issued",
            "token-issued",
            "token-refused",
        ]
    );
    let text = Value::Array(all).to_string();
    assert!(
        !text.contains(&owner) && !text.contains("signature"),
        "no token, no link"
    );
    assert!(
        text.contains("\"owner\"") && text.contains("X-Request-Id") || text.contains("XrequestId")
    );
}

/// Events that the coordinator has delivered already.
async fn delivered(secured: &Secured) -> Vec<Value> {
    let blobs = &secured.site.ports.blobs;
    let mut events = Vec::new();
    for info in blobs.list(layout::audit_log(), None, 10_000).await.unwrap() {
        let body = blobs.get(&info.key).await.unwrap().unwrap();
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        events.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
    }
    events
}

/// Ids of what was deleted are as good as data.
#[tokio::test]
async fn who_was_told_of_deletions_is_written_down() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Stream);
    let owner = secured.token("default", "owner", "system/*.rs").await;
    secured.site.work();
    let (_, manifest) = secured.export(&since(EXPORT), &owner).await;
    secured.site.stop.cancel();
    let entry = &manifest["deleted"][0];
    let got = secured.get(entry["url"].as_str().unwrap(), &owner).await;
    assert_eq!(got.status, StatusCode::OK);
    let mut all = delivered(&secured).await;
    all.extend(events(&secured).await);
    let events_with = |word: &str| {
        let word = format!("\"{word}\"");
        let with = |event: &&Value| event.to_string().contains(&word);
        all.iter().filter(with).cloned().collect::<Vec<_>>()
    };
    let told = events_with("deleted-files");
    assert_eq!(actions(&told), ["manifest-served"]);
    let hash = entry["extension"]["urn:sluice:sha256"].as_str().unwrap();
    let served = events_with(hash);
    assert_eq!(actions(&served), ["file-served"]);
    assert!(served[0].to_string().contains("\"Bundle\""));
}

/// A flood of requests by nobody in particular hides nothing of what a client tries (G7).
#[tokio::test]
async fn a_flood_of_strangers_does_not_hide_a_client() {
    let secured = Secured::new();
    let owner = secured.token("default", "owner", "system/*.rs").await;
    let stranger = secured.token("default", "stranger", "system/*.rs").await;
    let started = secured.get(EXPORT, &owner).await;
    for _ in 0..150 {
        secured.send(TestRequest::get().uri(EXPORT), None).await;
    }
    secured
        .get(started.header("content-location"), &stranger)
        .await;
    let events = events(&secured).await;
    let refused: Vec<&Value> = events
        .iter()
        .filter(|event| event.to_string().contains("\"access-refused\""))
        .collect();
    assert!(
        refused.len() <= 101,
        "{}: the flood is bounded",
        refused.len()
    );
    assert!(
        refused
            .iter()
            .any(|event| event.to_string().contains("\"stranger\""))
    );
}

/// G12: what cannot be written down does not happen.
#[tokio::test]
async fn g12_without_room_in_the_audit_nothing_is_exported() {
    let secured = Secured::new();
    let token = secured.token("default", "owner", "system/*.rs").await;
    let tenant = "default".parse().unwrap();
    let audit = sluice_engine::Audit::new(&secured.site.ports, MOST_WAITING);
    for _ in 0..MOST_WAITING {
        let (action, outcome) = (
            sluice_engine::AuditAction::FileServed,
            sluice_engine::AuditOutcome::Success,
        );
        let entry = sluice_engine::AuditEntry::new(&tenant, action, outcome);
        audit.record(&entry).await.unwrap();
    }
    secured.site.clock.pass(Duration::from_secs(20));
    let got = secured.get(EXPORT, &token).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "transient")
    );
    assert!(got.header("retry-after").parse::<u64>().is_ok());
    let before = events(&secured).await.len();
    assert!(
        before >= usize::try_from(MOST_WAITING).unwrap(),
        "none is lost"
    );
}

/// Whatever call fails on the way, there is never a job without its event.
#[tokio::test]
async fn g12_what_cannot_be_told_of_is_not_done() {
    let (mut kicked_off, mut refused) = (0, 0);
    for call in 0..16 {
        for when in [When::Before, When::After] {
            let secured = Secured::with(&Faults::nth(call, when), |_| {});
            let assertion = secured.assertion("default", "owner");
            let form = super::form(&assertion, "system/*.rs");
            let got = secured.post(super::TOKEN_PATH, &form).await;
            let Some(token) = got.json()["access_token"].as_str().map(str::to_owned) else {
                assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "call {call}");
                continue;
            };
            match secured.get(EXPORT, &token).await.status {
                StatusCode::ACCEPTED => kicked_off += 1,
                StatusCode::SERVICE_UNAVAILABLE => refused += 1,
                other => panic!("call {call} {when:?}: {other}"),
            }
            let listed = listed(&secured, "default/").await;
            let jobs = listed
                .iter()
                .filter(|info| info.key.ends_with("/job.json"))
                .count();
            let words = actions(&events(&secured).await);
            let count = |word: &str| words.iter().filter(|found| *found == word).count();
            assert!(count("kick-off") >= jobs, "call {call} {when:?}");
            assert!(count("token-issued") >= 1, "call {call} {when:?}");
        }
    }
    assert!(kicked_off > 0 && refused > 0, "{kicked_off} {refused}");
}
