//! Tokens of a hospital's own OAuth server.

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use sluice_auth::ExternalIssuer;
use sluice_engine::{TenantAccess, TrustedIssuer};
use sluice_testkit::{Faults, Forger};

use super::super::EXPORT;
use super::{ISSUER_JWKS_URL, Secured};

const ISSUER: &str = "https://idp.example.org";

fn trusting(own_tokens: bool) -> Secured {
    Secured::with(&Faults::default(), |access: &mut TenantAccess| {
        access.own_tokens = own_tokens;
        access.issuers.push(TrustedIssuer {
            tokens: ExternalIssuer {
                issuer: ISSUER.to_owned(),
                audience: "sluice".to_owned(),
                client_claim: "azp".to_owned(),
                scope_claim: "scp".to_owned(),
            },
            jwks_url: ISSUER_JWKS_URL.to_owned(),
            token_url: Some("https://idp.example.org/token".to_owned()),
        });
    })
}

fn claims(secured: &Secured) -> Value {
    json!({
        "iss": ISSUER, "aud": ["account", "sluice"], "azp": "elsewhere", "exp": secured.now() + 3600,
        "scp": ["system/*.rs", "openid"], "jti": "their-own",
    })
}

fn header(alg: &str) -> Value {
    json!({ "alg": alg, "kid": "idp", "typ": "JWT" })
}

#[tokio::test]
async fn their_tokens_open_what_is_registered_here_and_no_more() {
    let secured = trusting(true);
    for (alg, key) in [
        ("RS256", Forger::rs384()),
        ("RS384", Forger::rs384()),
        ("ES256", Forger::es256()),
        ("ES384", Forger::es384()),
    ] {
        secured.keys.publish(
            ISSUER_JWKS_URL,
            &key.jwks("idp"),
            Some(std::time::Duration::ZERO),
        );
        secured.site.clock.pass(std::time::Duration::from_mins(2));
        let token = key.sign(&header(alg), &claims(&secured));
        let started = secured
            .get(&format!("{EXPORT}?_type=Patient"), &token)
            .await;
        assert_eq!(started.status, StatusCode::ACCEPTED, "{alg}");
        // `elsewhere` is registered with system/Patient.rs only, whatever the token says.
        let got = secured
            .get(&format!("{EXPORT}?_type=Observation"), &token)
            .await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{alg}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_quite_theirs_are_refused() {
    let secured = trusting(true);
    let key = Forger::rs384();
    secured
        .keys
        .publish(ISSUER_JWKS_URL, &key.jwks("idp"), None);
    let lay = |over: Value| {
        let mut all = claims(&secured);
        for (name, value) in over.as_object().unwrap() {
            if value.is_null() {
                all.as_object_mut().unwrap().remove(name);
            } else {
                all[name] = value.clone();
            }
        }
        key.sign(&header("RS256"), &all)
    };
    let public = key.jwk("idp").to_string().into_bytes();
    let none = json!({ "alg": "none", "kid": "idp" });
    for (name, token) in [
        (
            "another iss",
            lay(json!({ "iss": "https://idp.example.org/" })),
        ),
        ("another aud", lay(json!({ "aud": "account" }))),
        ("no aud", lay(json!({ "aud": null }))),
        ("expired", lay(json!({ "exp": secured.now() - 31 }))),
        ("no exp", lay(json!({ "exp": null }))),
        ("exp is text", lay(json!({ "exp": "never" }))),
        ("nbf is to come", lay(json!({ "nbf": secured.now() + 60 }))),
        ("nbf is text", lay(json!({ "nbf": "now" }))),
        ("no client", lay(json!({ "azp": null }))),
        (
            "a client that is not registered",
            lay(json!({ "azp": "nobody" })),
        ),
        (
            "a client that has keys of its own",
            lay(json!({ "azp": "owner" })),
        ),
        ("a client that is disabled", lay(json!({ "azp": "off" }))),
        (
            "HS256 with the public key",
            Forger::Hmac(public).sign(&header("HS256"), &claims(&secured)),
        ),
        ("alg none", Forger::Nothing.sign(&none, &claims(&secured))),
        (
            "a stranger's key",
            Forger::rs384().sign(&header("RS256"), &claims(&secured)),
        ),
    ] {
        let got = secured.get(EXPORT, &token).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{name}");
    }
    let got = secured.get(EXPORT, &lay(json!({ "scp": null }))).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN, "no scopes open nothing");
    let own = secured.token("default", "owner", "system/*.rs").await;
    assert_eq!(
        secured.get(EXPORT, &own).await.status,
        StatusCode::ACCEPTED,
        "both are taken"
    );
    secured.keys.withdraw(ISSUER_JWKS_URL);
    secured.site.clock.pass(std::time::Duration::from_hours(1));
    let got = secured
        .get(EXPORT, &key.sign(&header("RS256"), &claims(&secured)))
        .await;
    assert_eq!(
        got.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "its keys cannot be had"
    );
}

/// Theirs live as long as they say, not as long as ours.
#[tokio::test]
async fn a_token_of_theirs_is_good_for_its_own_time() {
    let secured = trusting(true);
    let key = Forger::rs384();
    secured
        .keys
        .publish(ISSUER_JWKS_URL, &key.jwks("idp"), None);
    let token = key.sign(&header("RS256"), &claims(&secured));
    for minutes in [0, 6, 30, 23] {
        secured
            .site
            .clock
            .pass(std::time::Duration::from_mins(minutes));
        let got = secured
            .get(&format!("{EXPORT}?_type=Patient"), &token)
            .await;
        assert_eq!(got.status, StatusCode::ACCEPTED, "{minutes} more");
    }
    secured.site.clock.pass(std::time::Duration::from_mins(2));
    let got = secured.get(EXPORT, &token).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::UNAUTHORIZED, "expired")
    );
}

#[tokio::test]
async fn a_tenant_may_leave_tokens_to_another_server_alone() {
    let secured = trusting(false);
    let got = secured
        .get("/default/fhir/.well-known/smart-configuration", "x")
        .await;
    assert_eq!(
        got.json()["token_endpoint"],
        "https://idp.example.org/token"
    );
    let refused = secured.ask(&secured.assertion("default", "owner")).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}
