//! What one client may use up, without others noticing (G10).

use std::time::Duration;

use actix_web::http::StatusCode;
use serde_json::json;
use sluice_testkit::Faults;

use super::super::EXPORT;
use super::{Secured, registration};

fn limited(more: &serde_json::Value) -> Secured {
    Secured::with(&Faults::default(), |access| {
        let id = "stranger".parse().unwrap();
        let mut changed = registration(more);
        changed.jwks.clone_from(&access.clients[&id].jwks);
        access.clients.insert(id, changed);
    })
}

#[tokio::test]
async fn g10_fifty_kick_offs_of_one_client_are_429_and_others_do_not_notice() {
    let secured = limited(&json!({ "limits": { "kickoffs_per_hour": 10 } }));
    let greedy = secured.token("default", "stranger", "system/*.rs").await;
    let owner = secured.token("default", "owner", "system/*.rs").await;
    let mut refused = 0;
    for _ in 0..50 {
        let got = secured.get(EXPORT, &greedy).await;
        if got.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(got.issue(), "throttled");
            let wait: u64 = got.header("retry-after").parse().unwrap();
            assert!(wait <= 360, "one more each six minutes: {wait}");
            refused += 1;
        }
    }
    assert_eq!(refused, 40);
    assert_eq!(
        secured.get(EXPORT, &owner).await.status,
        StatusCode::ACCEPTED
    );
    secured.site.clock.pass(Duration::from_mins(6));
    let greedy = secured.token("default", "stranger", "system/*.rs").await;
    assert_eq!(
        secured.get(EXPORT, &greedy).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(
        secured.get(EXPORT, &greedy).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn a_client_has_as_many_running_as_it_may() {
    let secured = limited(&json!({ "limits": { "most_running": 1 } }));
    let token = secured.token("default", "stranger", "system/*.rs").await;
    let first = secured.get(EXPORT, &token).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let second = secured.get(EXPORT, &token).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(second.header("retry-after").parse::<u64>().is_ok());
    let delete = actix_web::test::TestRequest::delete()
        .uri(super::super::local(first.header("content-location")));
    assert_eq!(
        secured.send(delete, Some(&token)).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(
        secured.get(EXPORT, &token).await.status,
        StatusCode::ACCEPTED
    );
}
