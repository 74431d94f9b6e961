//! Rows G1, G2, G3, G4 and G6 of the fault matrix: assertions and token requests that must not work.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use sluice_testkit::{Forger, base64url};

use super::log::Log;
use super::{JWKS_URL, Secured, TOKEN_PATH, TOKEN_URL, form};

/// One assertion that must not work.
struct Bad {
    name: &'static str,
    assertion: String,
}

/// Changes a good assertion: `header` and `claims` are laid over it, `null` takes away.
fn bad(secured: &Secured, name: &'static str, header: &Value, claims: &Value) -> Bad {
    signed(secured, name, &secured.ec, (header, claims))
}

fn signed(
    secured: &Secured,
    name: &'static str,
    key: &Forger,
    (header, claims): (&Value, &Value),
) -> Bad {
    let mut good = json!({ "alg": "ES384", "kid": "ec", "typ": "JWT" });
    let mut says = secured.claims("owner");
    lay(&mut good, header);
    lay(&mut says, claims);
    Bad {
        name,
        assertion: key.sign(&good, &says),
    }
}

fn lay(good: &mut Value, over: &Value) {
    for (name, value) in over.as_object().unwrap() {
        if value.is_null() {
            good.as_object_mut().unwrap().remove(name);
        } else {
            good[name] = value.clone();
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn headers(secured: &Secured) -> Vec<Bad> {
    let none = json!({});
    let bad = |name, header: Value| bad(secured, name, &header, &none);
    let signed = |name, key: &Forger, header: Value| signed(secured, name, key, (&header, &none));
    let public = secured.ec.jwk("ec").to_string().into_bytes();
    let attacker = Forger::es384();
    vec![
        signed(
            "alg none, unsigned",
            &Forger::Nothing,
            json!({ "alg": "none" }),
        ),
        bad("alg none, signed", json!({ "alg": "none" })),
        bad("alg None", json!({ "alg": "None" })),
        bad("no alg", json!({ "alg": null })),
        bad("alg is a number", json!({ "alg": 384 })),
        signed(
            "HS384 with the public key",
            &Forger::Hmac(public.clone()),
            json!({ "alg": "HS384" }),
        ),
        signed(
            "HS256 with the public key",
            &Forger::Hmac(public),
            json!({ "alg": "HS256" }),
        ),
        bad(
            "RS384 says the header, ES384 is the key",
            json!({ "alg": "RS384" }),
        ),
        signed(
            "ES384 says the header, RS384 is the key",
            secured.rsa,
            json!({ "kid": "rsa" }),
        ),
        signed(
            "RS256",
            secured.rsa,
            json!({ "alg": "RS256", "kid": "rsa" }),
        ),
        signed("ES256", &Forger::es256(), json!({ "alg": "ES256" })),
        bad("PS384", json!({ "alg": "PS384" })),
        bad("typ of an access token", json!({ "typ": "at+jwt" })),
        bad("another typ", json!({ "typ": "secevent+jwt" })),
        bad("no kid", json!({ "kid": null })),
        bad("an empty kid", json!({ "kid": "" })),
        bad("kid is a number", json!({ "kid": 1 })),
        bad("an unknown kid", json!({ "kid": "nobody" })),
        bad("kid is a path", json!({ "kid": "../../../../dev/null" })),
        bad("kid is SQL", json!({ "kid": "x' UNION SELECT 'key' --" })),
        bad("a kid of 1 MB", json!({ "kid": "k".repeat(1_000_000) })),
        bad("kid of another key of the client", json!({ "kid": "rsa" })),
        bad("crit", json!({ "crit": ["exp"] })),
        bad("b64 false", json!({ "b64": false, "crit": ["b64"] })),
        signed(
            "a key of its own in jwk",
            &attacker,
            json!({ "jwk": attacker.jwk("ec") }),
        ),
        signed(
            "a key of its own in x5c",
            &attacker,
            json!({ "x5c": ["MIIB"] }),
        ),
        signed(
            "a key of its own at x5u",
            &attacker,
            json!({ "x5u": "https://evil.example/x" }),
        ),
        signed(
            "a key of its own at jku",
            &attacker,
            json!({ "jku": "https://evil.example/jwks" }),
        ),
        bad("jku, and no URL is registered", json!({ "jku": JWKS_URL })),
        signed("signed by a stranger", &attacker, json!({})),
    ]
}

fn times(secured: &Secured) -> Vec<Bad> {
    let none = json!({});
    let bad = |name, claims: Value| bad(secured, name, &none, &claims);
    let now = secured.now();
    vec![
        bad("exp is text", json!({ "exp": "never" })),
        bad(
            "exp is digits in a text",
            json!({ "exp": (now + 60).to_string() }),
        ),
        bad("exp is a fraction", json!({ "exp": 1_772_323_300.5 })),
        bad("exp is negative", json!({ "exp": -1 })),
        bad(
            "exp is 2^63",
            json!({ "exp": 9_223_372_036_854_775_808_u64 }),
        ),
        bad("exp is the largest number", json!({ "exp": i64::MAX })),
        bad("exp is null", json!({ "exp": [] })),
        bad("no exp", json!({ "exp": null })),
        bad("exp is past", json!({ "exp": now - 31 })),
        bad("exp is too far", json!({ "exp": now + 600 })),
        bad("exp in milliseconds", json!({ "exp": (now + 60) * 1000 })),
        bad("nbf is to come", json!({ "nbf": now + 60 })),
        bad("nbf is text", json!({ "nbf": "now" })),
        bad("iat is to come", json!({ "iat": now + 60 })),
    ]
}

fn names(secured: &Secured) -> Vec<Bad> {
    let none = json!({});
    let bad = |name, claims: Value| bad(secured, name, &none, &claims);
    vec![
        bad("iss is not sub", json!({ "iss": "stranger" })),
        bad("sub is not iss", json!({ "sub": "stranger" })),
        bad("no iss", json!({ "iss": null })),
        bad("no sub", json!({ "sub": null })),
        bad("iss and sub are numbers", json!({ "iss": 1, "sub": 1 })),
        bad("no jti", json!({ "jti": null })),
        bad("an empty jti", json!({ "jti": "" })),
        bad("jti is a number", json!({ "jti": 7 })),
        bad("a jti of 1000 bytes", json!({ "jti": "j".repeat(1000) })),
        bad(
            "an unknown client",
            json!({ "iss": "nobody", "sub": "nobody" }),
        ),
        bad(
            "a client with a path for a name",
            json!({ "iss": "../owner", "sub": "../owner" }),
        ),
        bad(
            "another client's name",
            json!({ "iss": "stranger", "sub": "stranger" }),
        ),
        bad(
            "a client that is disabled",
            json!({ "iss": "off", "sub": "off" }),
        ),
        bad("no aud", json!({ "aud": null })),
        bad(
            "another server's aud",
            json!({ "aud": "https://auth.example.net/token" }),
        ),
        bad(
            "aud has a slash more",
            json!({ "aud": format!("{TOKEN_URL}/") }),
        ),
        bad(
            "aud is http",
            json!({ "aud": TOKEN_URL.replace("https", "http") }),
        ),
        bad(
            "aud is the FHIR base",
            json!({ "aud": "https://bulk.example.org/default/fhir" }),
        ),
        bad(
            "aud is another tenant's",
            json!({ "aud": TOKEN_URL.replace("default", "other") }),
        ),
        bad(
            "aud has others too",
            json!({ "aud": [TOKEN_URL, "https://evil.example"] }),
        ),
        bad("aud is an empty list", json!({ "aud": [] })),
        bad("aud is an object", json!({ "aud": { "url": TOKEN_URL } })),
    ]
}

/// Things that are no JWT at all, or were one.
fn shapes(secured: &Secured) -> Vec<Bad> {
    let good = secured.assertion("default", "owner");
    let parts: Vec<&str> = good.split('.').collect();
    let header = json!({ "alg": "ES384", "kid": "ec", "typ": "JWT" });
    let twice = format!(
        "{{\"iss\":\"stranger\",\"iss\":\"owner\",\"sub\":\"owner\",\"aud\":\"{TOKEN_URL}\",\
         \"exp\":{},\"jti\":\"twice\"}}",
        secured.now() + 60
    );
    let other = base64url(secured.claims("owner").to_string());
    let list = [
        ("nothing", ".".to_owned()),
        ("a word", "assertion".to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.AAAA")),
        ("five parts, as if encrypted", format!("{good}.AAAA.AAAA")),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("half a signature", good[..good.len() - 40].to_owned()),
        (
            "another's claims",
            format!("{}.{other}.{}", parts[0], parts[2]),
        ),
        (
            "not base64",
            format!("{}!.{}.{}", parts[0], parts[1], parts[2]),
        ),
        (
            "claims are no JSON",
            format!("{}.{}.{}", parts[0], base64url("x"), parts[2]),
        ),
        ("a claim comes twice", {
            let unsigned = format!("{}.{}", base64url(header.to_string()), base64url(twice));
            format!("{unsigned}.{}", parts[2])
        }),
        (
            "JSON instead of compact",
            json!({ "payload": parts[1], "signatures": [] }).to_string(),
        ),
        (
            "20 KB",
            format!("{}.{}.{}", parts[0], "A".repeat(20_000), parts[2]),
        ),
    ];
    let each = list.into_iter();
    each.map(|(name, assertion)| Bad { name, assertion })
        .collect()
}

/// Show 1 of issue C: each is refused as `invalid_client`, and none is logged.
#[tokio::test]
async fn g1_g2_g6_bad_assertions_are_refused_and_never_logged() {
    let secured = Secured::new();
    let log = Log::listen();
    let mut table = headers(&secured);
    table.extend(times(&secured));
    table.extend(names(&secured));
    table.extend(shapes(&secured));
    let access_token = secured.token("default", "owner", "system/*.rs").await;
    table.push(Bad {
        name: "an access token",
        assertion: access_token.clone(),
    });
    assert!(table.len() >= 79, "{}", table.len());
    for Bad { name, assertion } in &table {
        let got = secured.ask(assertion).await;
        // A form larger than is read is a bad request before it is a bad client.
        let code = if assertion.len() > 64 * 1024 {
            "invalid_request"
        } else {
            "invalid_client"
        };
        assert_eq!(got.json()["error"], code, "{name}: {}", got.json());
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{name}");
        assert_eq!(got.header("cache-control"), "no-store", "{name}");
        assert_eq!(got.header("pragma"), "no-cache", "{name}");
        assert!(
            got.json()["error_description"].as_str().unwrap().len() > 20,
            "{name}"
        );
    }
    let text = log.text();
    assert!(text.contains("answered"), "something is logged at all");
    for Bad { name, assertion } in &table {
        for part in assertion.split('.').filter(|part| part.len() > 20) {
            assert!(!text.contains(part), "{name} is in the log");
        }
    }
    assert!(!text.contains(&access_token));
    let good = secured.ask(&secured.assertion("default", "owner")).await;
    assert_eq!(
        good.status,
        StatusCode::OK,
        "all else being equal, it works"
    );
}

/// Nobody learns which clients there are.
#[tokio::test]
async fn unknown_clients_keys_and_signatures_are_answered_alike() {
    let secured = Secured::new();
    let attacker = Forger::es384();
    let header = json!({ "alg": "ES384", "kid": "ec", "typ": "JWT" });
    let unknown_kid = json!({ "alg": "ES384", "kid": "zz", "typ": "JWT" });
    let published = json!({ "alg": "ES384", "kid": "p", "typ": "JWT" });
    let mut bodies = Vec::new();
    for (client, header) in [
        ("owner", &header),
        ("owner", &unknown_kid),
        ("nobody", &header),
        ("off", &header),
        ("elsewhere", &header),
        ("published", &published),
    ] {
        let got = secured
            .ask(&attacker.sign(header, &secured.claims(client)))
            .await;
        bodies.push((got.status, got.json().to_string()));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

/// G3: of any number of requests with one assertion, at any number of gateways, one is granted.
#[tokio::test]
async fn g3_an_assertion_works_once_at_all_gateways_together() {
    let secured = Secured::new();
    let mut other = Secured::new();
    // Another gateway with the same index, store and secret.
    other.site.gateway = actix_web::web::Data::new(secured.site.another(|_| {}));
    let assertion = secured.assertion("default", "owner");
    let asks = (0..200).map(|number| {
        let at = if number % 2 == 0 { &secured } else { &other };
        at.ask(&assertion)
    });
    let answers = futures::future::join_all(asks).await;
    let granted = answers
        .iter()
        .filter(|got| got.status == StatusCode::OK)
        .count();
    assert_eq!(granted, 1);
    for refused in answers.iter().filter(|got| got.status != StatusCode::OK) {
        assert_eq!(refused.json()["error"], "invalid_client");
    }
    // T-068: nobody can use up an assertion of another by guessing its jti.
    let claims = secured.claims("owner");
    let header = json!({ "alg": "ES384", "kid": "ec", "typ": "JWT" });
    let forged = Forger::es384().sign(&header, &claims);
    assert_eq!(secured.ask(&forged).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        secured.ask(&secured.ec.sign(&header, &claims)).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn r_228_token_requests_of_the_wrong_form_have_their_own_codes() {
    let secured = Secured::new();
    let with = |name: &'static str, value: &'static str| {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (field, said) in form(&secured.assertion("default", "owner"), "system/*.rs") {
            let said = if field == name { value } else { said };
            fields.push((field.to_owned(), said.to_owned()));
        }
        fields
    };
    let other = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    for (name, value, code) in [
        ("grant_type", "authorization_code", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
        ("client_assertion_type", other, "invalid_request"),
        ("client_assertion_type", "", "invalid_request"),
        ("client_assertion", "", "invalid_request"),
        ("scope", "", "invalid_request"),
        ("scope", "openid fhirUser", "invalid_scope"),
        ("scope", "system/*.cud", "invalid_scope"),
        (
            "scope",
            "system/Observation.rs?category=laboratory",
            "invalid_scope",
        ),
    ] {
        let request = TestRequest::post()
            .uri(TOKEN_PATH)
            .set_form(with(name, value));
        let got = secured.site.send(request).await;
        assert_eq!(got.json()["error"], code, "{name}={value}");
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "T-074");
    }
    let assertion = secured.assertion("default", "owner");
    let mut twice = form(&assertion, "system/*.rs").to_vec();
    twice.push(("scope", "system/*.rs"));
    assert_eq!(
        secured.post(TOKEN_PATH, &twice).await.json()["error"],
        "invalid_request"
    );
    let mut named = form(&assertion, "system/*.rs").to_vec();
    named.push(("client_id", "stranger"));
    assert_eq!(
        secured.post(TOKEN_PATH, &named).await.json()["error"],
        "invalid_client"
    );

    let json = TestRequest::post()
        .uri(TOKEN_PATH)
        .set_json(json!({ "grant_type": "x" }));
    assert_eq!(
        secured.site.send(json).await.json()["error"],
        "invalid_request"
    );
    let basic = TestRequest::post()
        .uri(TOKEN_PATH)
        .insert_header(("authorization", "Basic b3duZXI6c2VjcmV0"))
        .set_form(form(&assertion, "system/*.rs"));
    let got = secured.site.send(basic).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED, "R-255");
    assert!(got.header("www-authenticate").starts_with("Basic"));
    assert_eq!(got.json()["error"], "invalid_client");
    let get = secured.site.send(TestRequest::get().uri(TOKEN_PATH)).await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    // The query string is no place for it.
    let path = format!("{TOKEN_PATH}?grant_type=client_credentials&scope=x");
    assert_eq!(
        secured.post(&path, &[]).await.json()["error"],
        "invalid_request"
    );
}

#[tokio::test]
async fn r_242_a_token_says_what_is_granted_in_the_words_it_was_asked_in() {
    let secured = Secured::new();
    for (client, asked, granted) in [
        ("owner", "system/*.read", "system/*.read"),
        (
            "owner",
            "system/Patient.rs system/Foo.rs openid",
            "system/Patient.rs",
        ),
        ("narrow", "system/*.read", "system/Patient.read"),
        (
            "narrow",
            "system/Patient.rs system/Observation.rs",
            "system/Patient.rs",
        ),
    ] {
        let assertion = secured.assertion("default", client);
        let got = secured.post(TOKEN_PATH, &form(&assertion, asked)).await;
        assert_eq!(got.json()["scope"], granted, "{asked}");
        assert_eq!(got.json()["token_type"], "bearer");
        assert_eq!(got.json()["expires_in"], 300);
        assert_eq!(got.header("cache-control"), "no-store");
    }
    let assertion = secured.assertion("default", "narrow");
    let refused = secured
        .post(TOKEN_PATH, &form(&assertion, "system/Observation.rs"))
        .await;
    assert_eq!(refused.json()["error"], "invalid_scope", "T-072");
    let rsa = json!({ "alg": "RS384", "kid": "rsa", "typ": "JWT" });
    let assertion = secured.rsa.sign(&rsa, &secured.claims("owner"));
    assert_eq!(
        secured.ask(&assertion).await.status,
        StatusCode::OK,
        "RS384 works too"
    );
    // T-066: one audience in a list is one audience.
    let mut claims = secured.claims("owner");
    claims["aud"] = json!([TOKEN_URL]);
    let header = json!({ "alg": "ES384", "kid": "ec", "typ": "JWT" });
    assert_eq!(
        secured.ask(&secured.ec.sign(&header, &claims)).await.status,
        StatusCode::OK
    );
}
