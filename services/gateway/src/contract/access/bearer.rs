//! Access tokens that must not work, and what a client loses while it holds one (G9).

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use serde_json::json;
use sluice_auth::{AccessToken, KeySecret, Scopes, SigningKeys, TokenUse};
use sluice_testkit::{Forger, base64url};

use super::super::EXPORT;
use super::log::Log;
use super::{Secured, registration, secret};

const ISSUER: &str = "https://bulk.example.org/default/oauth2";
const BASE: &str = "https://bulk.example.org/default/fhir";

/// Makes tokens as another server, or this one at another time, would.
fn made(secret: &KeySecret, (issuer, audience): (&str, &str), now: i64) -> String {
    let keys = SigningKeys::at(
        std::slice::from_ref(secret),
        &"default".parse().unwrap(),
        86_400,
        now,
    );
    let token = AccessToken {
        client: "owner".parse().unwrap(),
        scopes: Scopes::lenient("system/*.rs"),
        jti: "j".to_owned(),
    };
    let what = TokenUse {
        issuer,
        audience,
        now,
    };
    token.issue(&keys.unwrap(), what, 300).unwrap().token
}

#[tokio::test]
async fn g1_bad_access_tokens_are_refused_and_never_logged() {
    let secured = Secured::new();
    let log = Log::listen();
    let now = secured.now();
    let good = secured.token("default", "owner", "system/*.rs").await;
    let parts: Vec<&str> = good.split('.').collect();
    let claims = json!({
        "iss": ISSUER, "sub": "owner", "client_id": "owner", "aud": BASE, "exp": now + 300, "jti": "x",
        "scope": "system/*.rs",
    });
    let header = |alg: &str, typ: &str| json!({ "alg": alg, "kid": kid(&good), "typ": typ });
    let forged = |key: &Forger, alg: &str| key.sign(&header(alg, "at+jwt"), &claims);
    let wider = json!({ "scope": "system/*.cruds" });
    let other_secret = KeySecret::new([8; 32]).unwrap();
    let long_ago = now - 3 * 86_400;
    let table = [
        (
            "another server's secret",
            made(&other_secret, (ISSUER, BASE), now),
        ),
        (
            "another base",
            made(
                &secret(),
                (ISSUER, "https://bulk.example.org/other/fhir"),
                now,
            ),
        ),
        (
            "another issuer",
            made(&secret(), ("https://evil.example", BASE), now),
        ),
        ("expired", made(&secret(), (ISSUER, BASE), now - 300)),
        (
            "a key that is retired",
            made(&secret(), (ISSUER, BASE), long_ago),
        ),
        (
            "another tenant's token",
            secured.token("other", "owner", "system/*.rs").await,
        ),
        ("an assertion", secured.assertion("default", "owner")),
        ("alg none", forged(&Forger::Nothing, "none")),
        ("signed by a stranger", forged(&Forger::es384(), "ES384")),
        (
            "HS384 with the kid",
            forged(&Forger::Hmac(kid(&good).into_bytes()), "HS384"),
        ),
        ("RS384", forged(secured.rsa, "RS384")),
        ("typ JWT", secured.ec.sign(&header("ES384", "JWT"), &claims)),
        (
            "other claims",
            format!("{}.{}.{}", parts[0], base64url(wider.to_string()), parts[2]),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("a word", "token".to_owned()),
        ("nothing", String::new()),
    ];
    for (name, token) in &table {
        let got = secured.get(EXPORT, token).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(
            got.header("www-authenticate").starts_with("Bearer"),
            "{name}: R-254"
        );
        let code = got.issue();
        let expected = if *name == "expired" {
            "expired"
        } else {
            "login"
        };
        assert_eq!(code, expected, "{name}");
    }
    for (name, token) in &table {
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!log.text().contains(part), "{name} is in the log");
        }
    }
    assert!(!log.text().contains(&good));
    assert_eq!(
        secured.get(EXPORT, &good).await.status,
        StatusCode::ACCEPTED
    );
}

fn kid(token: &str) -> String {
    let (_, header) = token.split('.').enumerate().next().unwrap();
    let bytes: Vec<u8> = base64_decode(header);
    let header: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

fn base64_decode(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter).unwrap();
        bits = (bits << 6) | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    bytes
}

#[tokio::test]
async fn a_token_goes_into_one_authorization_header_and_nowhere_else() {
    let secured = Secured::new();
    let token = secured.token("default", "owner", "system/*.rs").await;
    for (name, value) in [
        ("authorization", format!("Basic {token}")),
        ("authorization", token.clone()),
        ("cookie", format!("access_token={token}")),
        ("x-access-token", token.clone()),
    ] {
        let request = TestRequest::get().uri(EXPORT).insert_header((name, value));
        let got = secured.site.send(request).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{name}");
    }
    let in_query = format!("{EXPORT}?access_token={token}");
    let got = secured.site.send(TestRequest::get().uri(&in_query)).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let bearer = (header::AUTHORIZATION, format!("Bearer {token}"));
    let twice = TestRequest::get()
        .uri(EXPORT)
        .append_header(bearer.clone())
        .append_header(bearer);
    assert_eq!(
        secured.site.send(twice).await.status,
        StatusCode::UNAUTHORIZED
    );
    let small = (header::AUTHORIZATION, format!("bearer {token}"));
    let small = TestRequest::get().uri(EXPORT).insert_header(small);
    assert_eq!(
        secured.site.send(small).await.status,
        StatusCode::ACCEPTED,
        "any case"
    );
}

#[tokio::test]
async fn g9_a_token_that_runs_out_while_polling_is_401_and_a_new_one_goes_on() {
    let secured = Secured::new();
    let token = secured.token("default", "owner", "system/*.rs").await;
    let started = secured.get(EXPORT, &token).await;
    let status = started.header("content-location").to_owned();
    secured.site.clock.pass(Duration::from_secs(299));
    assert_eq!(
        secured.get(&status, &token).await.status,
        StatusCode::ACCEPTED
    );
    secured.site.clock.pass(Duration::from_secs(1));
    let got = secured.get(&status, &token).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::UNAUTHORIZED, "expired")
    );
    let next = secured.token("default", "owner", "system/*.rs").await;
    assert_eq!(
        secured.get(&status, &next).await.status,
        StatusCode::ACCEPTED
    );
}

/// What is taken from a client is gone within the time that a change takes, token or not.
#[tokio::test]
async fn g9_a_client_that_is_disabled_or_narrowed_loses_it_at_once_or_nearly() {
    let secured = Secured::new();
    let (tenant, id) = ("default".parse().unwrap(), "new".parse().unwrap());
    let all = registration(&json!({ "jwks": secured.others.jwks("k") }));
    secured
        .clients
        .add(&tenant, &id, all.clone())
        .await
        .unwrap();
    let token = secured.token("default", "new", "system/*.rs").await;
    let started = secured.get(EXPORT, &token).await;
    let status = started.header("content-location").to_owned();
    assert_eq!(
        secured.get(&status, &token).await.status,
        StatusCode::ACCEPTED
    );

    let mut narrow = all.clone();
    narrow.scopes = vec!["system/Patient.rs".to_owned()];
    secured
        .clients
        .replace(&tenant, &id, (narrow, None))
        .await
        .unwrap();
    secured.site.clock.pass(Duration::from_secs(30));
    let got = secured.get(&status, &token).await;
    assert_eq!(
        got.status,
        StatusCode::FORBIDDEN,
        "R-004: the job holds more"
    );

    secured
        .clients
        .replace(&tenant, &id, (all, None))
        .await
        .unwrap();
    secured
        .clients
        .set_enabled(&tenant, &id, false)
        .await
        .unwrap();
    secured.site.clock.pass(Duration::from_secs(30));
    let got = secured.get(&status, &token).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::UNAUTHORIZED, "login")
    );
    let refused = secured.ask(&secured.assertion("default", "new")).await;
    assert_eq!(refused.json()["error"], "invalid_client");
}
