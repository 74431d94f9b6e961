//! What a client can find out by itself, and that no header of a request decides it
//! (G14).

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::Value;
use sluice_auth::Jwks;

use super::super::{EXPORT, PUBLIC, Site};
use super::{Secured, TOKEN_PATH, TOKEN_URL, form};

const CONFIGURATION: &str = "/default/fhir/.well-known/smart-configuration";

#[tokio::test]
async fn r_215_r_219_discovery_needs_no_token_and_says_what_smart_wants() {
    let secured = Secured::new();
    let request = TestRequest::get()
        .uri(CONFIGURATION)
        .insert_header(("accept", "text/html"));
    let got = secured.send(request, None).await;
    assert_eq!(got.status, StatusCode::OK, "R-216: whatever Accept says");
    assert_eq!(got.header("content-type"), "application/json");
    let found = got.json();
    assert_eq!(found["token_endpoint"], TOKEN_URL);
    let has = |name: &str, value: &str| {
        found[name]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one == value)
    };
    assert!(has("grant_types_supported", "client_credentials"));
    assert!(has(
        "token_endpoint_auth_methods_supported",
        "private_key_jwt"
    ));
    assert!(has(
        "token_endpoint_auth_signing_alg_values_supported",
        "RS384"
    ));
    assert!(has(
        "token_endpoint_auth_signing_alg_values_supported",
        "ES384"
    ));
    assert!(has("capabilities", "client-confidential-asymmetric"));
    assert!(has("capabilities", "permission-v1") && has("capabilities", "permission-v2"));
    assert!(has("code_challenge_methods_supported", "S256"), "T-075");
    assert!(has("scopes_supported", "system/*.rs"));

    let jwks = secured
        .send(TestRequest::get().uri("/default/oauth2/jwks"), None)
        .await;
    assert_eq!(found["jwks_uri"], format!("{PUBLIC}/default/oauth2/jwks"));
    Jwks::registered(&jwks.body).unwrap();
    assert!(!String::from_utf8_lossy(&jwks.body).contains("\"d\""));

    let metadata = secured
        .send(TestRequest::get().uri("/default/fhir/metadata"), None)
        .await;
    let security = &metadata.json()["rest"][0]["security"];
    assert_eq!(security["service"][0]["coding"][0]["code"], "SMART-on-FHIR");
    assert_eq!(
        security["extension"][0]["extension"][0]["valueUri"],
        TOKEN_URL
    );
}

/// R-221; and R-245: what a client gets is a token and nothing that renews it.
#[tokio::test]
async fn r_221_every_scope_that_is_advertised_is_granted() {
    let secured = Secured::new();
    let found = secured
        .send(TestRequest::get().uri(CONFIGURATION), None)
        .await
        .json();
    for scope in found["scopes_supported"].as_array().unwrap() {
        let scope = scope.as_str().unwrap();
        let assertion = secured.assertion("default", "owner");
        let got = secured
            .post(TOKEN_PATH, &form(&assertion, scope))
            .await
            .json();
        assert_eq!(got["scope"], scope);
        assert!(got.get("refresh_token").is_none(), "R-245");
    }
}

#[tokio::test]
async fn without_authorization_there_is_nothing_to_discover() {
    let site = Site::quiet();
    for path in [
        CONFIGURATION,
        "/default/oauth2/token",
        "/default/oauth2/jwks",
    ] {
        assert_eq!(site.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let metadata = site.get("/default/fhir/metadata").await.json();
    assert!(metadata["rest"][0].get("security").is_none());
}

/// Where every URL comes from: the configured base, whatever a proxy or an attacker says.
#[tokio::test]
async fn g14_no_header_decides_a_url() {
    let secured = Secured::new();
    let token = secured.token("default", "owner", "system/*.rs").await;
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "bulk.example.org:443@evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("forwarded", "for=1.2.3.4;host=evil.example;proto=http"),
    ] {
        for path in [
            EXPORT,
            CONFIGURATION,
            "/default/fhir/metadata",
            "/default/fhir/Group",
        ] {
            let request = TestRequest::get().uri(path).insert_header((name, value));
            let got = secured.send(request, Some(&token)).await;
            assert!(got.status.is_success(), "{name}: {value} at {path}");
            let text = format!("{:?} {}", got.headers, String::from_utf8_lossy(&got.body));
            assert!(!text.contains("evil"), "{name}: {value} at {path}: {text}");
        }
        let request = TestRequest::get().uri(EXPORT).insert_header((name, value));
        let got = secured.send(request, Some(&token)).await;
        assert!(got.header("content-location").starts_with(PUBLIC), "{name}");
        // An assertion for where the header leads is not one for here.
        let mut claims = secured.claims("owner");
        claims["aud"] = Value::from("https://evil.example/default/oauth2/token");
        let header = serde_json::json!({ "alg": "ES384", "kid": "ec", "typ": "JWT" });
        let assertion = secured.ec.sign(&header, &claims);
        let request = TestRequest::post()
            .uri(TOKEN_PATH)
            .insert_header((name, value))
            .set_form(form(&assertion, "system/*.rs"));
        let got = secured.site.send(request).await;
        assert_eq!(got.json()["error"], "invalid_client", "{name}");
    }
}
