//! Keys of clients that change (G5), and sets of keys that are asked for no more than need be (G6).

use std::time::Duration;

use actix_web::http::StatusCode;
use serde_json::json;
use sluice_testkit::Forger;

use super::{JWKS_URL, Secured};

async fn asked(secured: &Secured, key: &Forger, kid: &str) -> StatusCode {
    let header = json!({ "alg": "ES384", "kid": kid, "typ": "JWT", "jku": JWKS_URL });
    let assertion = key.sign(&header, &secured.claims("published"));
    secured.ask(&assertion).await.status
}

#[tokio::test]
async fn g5_new_keys_work_at_once_old_ones_until_their_set_is_old() {
    let secured = Secured::new();
    let next = Forger::es384();
    let hour = Some(Duration::from_hours(1));
    secured
        .keys
        .publish(JWKS_URL, &secured.published.jwks("p"), hour);
    assert_eq!(
        asked(&secured, &secured.published, "p").await,
        StatusCode::OK
    );
    let both = json!({ "keys": [secured.published.jwk("p"), next.jwk("n")] });
    secured.keys.publish(JWKS_URL, &both, hour);
    // An unknown kid is looked for, but not again and again.
    assert_eq!(asked(&secured, &next, "n").await, StatusCode::BAD_REQUEST);
    secured.site.clock.pass(Duration::from_mins(1));
    assert_eq!(asked(&secured, &next, "n").await, StatusCode::OK);
    secured.keys.publish(JWKS_URL, &next.jwks("n"), hour);
    assert_eq!(
        asked(&secured, &secured.published, "p").await,
        StatusCode::OK,
        "R-238: in time"
    );
    secured.site.clock.pass(Duration::from_hours(1));
    assert_eq!(
        asked(&secured, &secured.published, "p").await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(asked(&secured, &next, "n").await, StatusCode::OK);
    // What is old is not used when nothing new can be had.
    secured.keys.withdraw(JWKS_URL);
    assert_eq!(
        asked(&secured, &next, "n").await,
        StatusCode::OK,
        "still in time"
    );
    secured.site.clock.pass(Duration::from_hours(1));
    assert_eq!(asked(&secured, &next, "n").await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn g6_a_flood_of_unknown_kids_is_one_fetch_a_minute() {
    let secured = Secured::new();
    assert_eq!(
        asked(&secured, &secured.published, "p").await,
        StatusCode::OK
    );
    assert_eq!(secured.keys.fetches(), 1);
    for number in 0..1000 {
        let refused = asked(&secured, &secured.published, &format!("kid-{number}")).await;
        assert_eq!(refused, StatusCode::BAD_REQUEST);
    }
    assert_eq!(secured.keys.fetches(), 1);
    secured.site.clock.pass(Duration::from_mins(1));
    asked(&secured, &secured.published, "kid").await;
    asked(&secured, &secured.published, "kid").await;
    assert_eq!(secured.keys.fetches(), 2);
    // Nor is a server that is down asked by everyone.
    secured.keys.withdraw(JWKS_URL);
    secured.site.clock.pass(Duration::from_hours(1));
    for _ in 0..100 {
        asked(&secured, &secured.published, "p").await;
    }
    assert_eq!(secured.keys.fetches(), 3);
}

/// A set that must not be kept is not kept, and is no way to have it fetched at will either.
#[tokio::test]
async fn g6_a_set_that_is_not_kept_is_fetched_for_its_own_kids_only() {
    let secured = Secured::new();
    secured
        .keys
        .publish(JWKS_URL, &secured.published.jwks("p"), Some(Duration::ZERO));
    assert_eq!(
        asked(&secured, &secured.published, "p").await,
        StatusCode::OK
    );
    for number in 0..50 {
        secured.site.clock.pass(Duration::from_secs(1));
        asked(&secured, &secured.published, &format!("kid-{number}")).await;
    }
    assert_eq!(secured.keys.fetches(), 1);
    secured.site.clock.pass(Duration::from_secs(1));
    assert_eq!(
        asked(&secured, &secured.published, "p").await,
        StatusCode::OK
    );
    assert_eq!(secured.keys.fetches(), 2);
}

#[tokio::test]
async fn r_234_jku_must_be_what_is_registered_and_kids_must_be_unique() {
    let secured = Secured::new();
    let header = json!({
        "alg": "ES384", "kid": "p", "typ": "JWT", "jku": "https://evil.example/jwks.json",
    });
    let assertion = secured
        .published
        .sign(&header, &secured.claims("published"));
    assert_eq!(
        secured.ask(&assertion).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(secured.keys.fetches(), 0, "it is not even looked at");
    let same = json!({ "keys": [secured.published.jwk("p"), Forger::es384().jwk("p")] });
    secured.keys.publish(JWKS_URL, &same, None);
    assert_eq!(
        asked(&secured, &secured.published, "p").await,
        StatusCode::BAD_REQUEST,
        "R-236"
    );
}
