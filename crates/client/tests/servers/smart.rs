//! Tokens that the client gets by itself: where from, for what, how often, and where they go.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sluice_client::{
    BulkClient, Credentials, Event, ExportError, ExportOptions, Observer, Poll, PrivateKey,
    Summary, Url, export,
};
use tokio_util::sync::CancellationToken;

use super::scripted::{Answer, Server, answer};
use super::{KICKOFF, PATIENTS, Test, read};

const DISCOVERY: &str = "GET /fhir/.well-known/smart-configuration";
const TOKEN: &str = "POST /token";
const EC: &[u8] = include_bytes!("../keys/p384.jwk.json");
const RSA: &[u8] = include_bytes!("../keys/rsa-pkcs8.pem");

/// A server that is up to date, and gives tokens named t1, t2 and so on.
fn test(more: &Value, tokens: impl IntoIterator<Item = Answer>) -> Test {
    let test = Test::new(more);
    knows(
        &test,
        json!({ "capabilities": ["permission-v2", "permission-v1"] }),
    );
    test.server.on(TOKEN, tokens);
    test
}

fn knows(test: &Test, mut configuration: Value) {
    configuration["token_endpoint"] = test.url("/token").into();
    let discovered = answer(200, configuration.to_string());
    test.server.on(DISCOVERY, [discovered]);
}

fn token(name: &str, seconds: u64) -> Answer {
    let body = json!({ "access_token": name, "token_type": "Bearer", "expires_in": seconds });
    answer(200, body.to_string())
}

fn options(test: &Test, key: &[u8]) -> ExportOptions {
    ExportOptions {
        credentials: Some(Credentials {
            client_id: "etl-7".to_owned(),
            key: PrivateKey::parse(key, None).unwrap(),
            scopes: Vec::new(),
        }),
        ..test.options()
    }
}

async fn run(options: &ExportOptions) -> Result<Summary, ExportError> {
    export(options, &(), CancellationToken::new()).await
}

/// The fields of the requests for a token.
fn forms(test: &Test) -> Vec<HashMap<String, String>> {
    let asked = test.server.asked(TOKEN).into_iter().map(|asked| {
        let kind = &asked.headers["content-type"];
        assert_eq!(kind, "application/x-www-form-urlencoded");
        assert!(!asked.headers.contains_key("authorization"));
        let url: Url = format!("http://h/?{}", asked.body).parse().unwrap();
        url.query_pairs().into_owned().collect()
    });
    asked.collect()
}

/// Verifies an assertion as a server does, and gives its `jti`.
fn verified(form: &HashMap<String, String>, key: &[u8], audience: &str) -> String {
    let key = PrivateKey::parse(key, None).unwrap();
    let assertion = &form["client_assertion"];
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    assert_eq!(header.typ.as_deref(), Some("JWT"));
    assert_eq!(header.alg, key.algorithm().parse().unwrap());
    let known: JwkSet = serde_json::from_value(key.public_jwks().unwrap()).unwrap();
    let public = known.find(&header.kid.unwrap()).unwrap();
    let mut rules = Validation::new(header.alg);
    rules.set_audience(&[audience]);
    rules.set_issuer(&["etl-7"]);
    rules.sub = Some("etl-7".to_owned());
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    let public = DecodingKey::from_jwk(public).unwrap();
    let claims = jsonwebtoken::decode::<Value>(assertion, &public, &rules).unwrap();
    let claims = claims.claims;
    #[expect(
        clippy::disallowed_methods,
        reason = "an assertion is good at the real time only"
    )]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let exp = claims["exp"].as_u64().unwrap();
    assert!((now..=now + 300).contains(&exp), "{exp} at {now}");
    assert!(claims["iat"].as_u64().unwrap() <= now);
    assert!(claims["aud"].is_string());
    claims["jti"].as_str().unwrap().to_owned()
}

fn one_file(needs_token: bool) -> Value {
    json!({
        "requiresAccessToken": needs_token,
        "output": [{ "type": "Patient", "url": "/p", "count": 2 }],
    })
}

#[tokio::test]
async fn a_key_is_enough() {
    for (key, algorithm) in [(EC, Algorithm::ES384), (RSA, Algorithm::RS384)] {
        let test = test(&one_file(true), [token("t1", 300)]);
        test.server.on("GET /p", [answer(200, PATIENTS)]);
        test.server.on("DELETE /status", [answer(202, "")]);
        let options = ExportOptions {
            delete: true,
            ..options(&test, key)
        };
        run(&options).await.unwrap();
        assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);
        for request in [KICKOFF, "GET /status", "GET /p", "DELETE /status"] {
            let asked = &test.server.asked(request)[0];
            assert_eq!(asked.headers["authorization"], "Bearer t1", "{request}");
        }
        let discovered = test.server.asked(DISCOVERY);
        assert_eq!(discovered.len(), 1);
        assert_eq!(discovered[0].headers["accept"], "application/json");
        assert!(!discovered[0].headers.contains_key("authorization"));
        let forms = forms(&test);
        assert_eq!(forms.len(), 1, "one token is enough");
        assert_eq!(forms[0]["grant_type"], "client_credentials");
        assert_eq!(forms[0]["scope"], "system/*.rs");
        assert_eq!(
            forms[0]["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        verified(&forms[0], key, &test.url("/token"));
        let assertion = &forms[0]["client_assertion"];
        let header = jsonwebtoken::decode_header(assertion).unwrap();
        assert_eq!(header.alg, algorithm);
        let state = read(&test.out.path().join(".sluice-export.json"));
        assert!(!state.contains("t1") && !state.contains("etl-7"), "{state}");

        // Nothing is left to do, so nobody needs a token, not even a right one.
        test.server.on(TOKEN, [answer(500, "")]);
        assert!(!run(&options).await.unwrap().is_new);
    }
}

/// Tokens that run out at once, so that no test has to wait for it.
#[tokio::test]
async fn a_token_that_runs_out_is_renewed_while_the_export_goes_on() {
    let tokens = (1..=5).map(|number| token(&format!("t{number}"), 0));
    let test = test(&one_file(true), tokens);
    let accepted = answer(202, "").with("Content-Location", &test.url("/status"));
    let running = answer(202, "").with("Retry-After", "0").only_for("t2");
    let done = test.done(&one_file(true)).only_for("t3");
    let broken = answer(200, PATIENTS).cut_after(9).only_for("t4");
    let whole = answer(200, PATIENTS).only_for("t5");
    test.server
        .on(KICKOFF, [accepted.only_for("t1")])
        .on("GET /status", [running, done])
        .on("GET /p", [broken, whole]);
    run(&options(&test, EC)).await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);
    let forms = forms(&test);
    let jtis = forms
        .iter()
        .map(|form| verified(form, EC, &test.url("/token")));
    assert_eq!(jtis.collect::<HashSet<String>>().len(), 5, "each is new");
    for (request, times) in [
        (KICKOFF, 1),
        ("GET /status", 2),
        ("GET /p", 2),
        (DISCOVERY, 1),
    ] {
        assert_eq!(test.server.asked(request).len(), times, "{request}");
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let file = one_file(true);
    let start = test(&file, [token("t1", 300), token("t2", 300)]);
    let accepted = answer(202, "").with("Content-Location", &start.url("/status"));
    start.server.on(KICKOFF, [accepted.only_for("t2")]);
    start.server.on("GET /p", [answer(200, PATIENTS)]);
    run(&options(&start, EC)).await.unwrap();
    assert_eq!(start.server.asked(KICKOFF).len(), 2);
    assert_eq!(forms(&start).len(), 2);

    for request in [KICKOFF, "GET /status", "GET /p"] {
        let test = test(&file, [token("t1", 300), token("t2", 300)]);
        test.server.on("GET /p", [answer(200, PATIENTS)]);
        test.server
            .on(request, [answer(401, super::outcome("login"))]);
        let ended = run(&options(&test, EC)).await.unwrap_err();
        assert_eq!(ended.exit_code(), 2, "{ended}");
        let said = ended.to_string();
        assert!(said.contains("just gave is refused: because"), "{said}");
        assert!(!said.contains("t2"), "{said}");
        assert_eq!(forms(&test).len(), 2, "{request}");
        assert_eq!(test.server.asked(request).len(), 2, "{request}");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_token() {
    let slow = token("t1", 300).after(Duration::from_millis(200));
    let test = test(&json!({}), [slow, token("t2", 300), token("t3", 300)]);
    let options = options(&test, EC);
    let client = BulkClient::new(&options).unwrap();
    let url: Url = test.url("/status").parse().unwrap();
    let polls = || join_all((0..8).map(|_| client.poll(&url)));
    for polled in polls().await {
        assert!(matches!(polled.unwrap(), Poll::Done(_)));
    }
    assert_eq!(forms(&test).len(), 1);
    // All are refused, and all but one find that another has renewed it.
    let done = test.done(&json!({}));
    test.server.on("GET /status", [done.only_for("t2")]);
    for polled in polls().await {
        assert!(matches!(polled.unwrap(), Poll::Done(_)));
    }
    assert_eq!(forms(&test).len(), 2);
}

#[tokio::test]
async fn downloads_at_the_same_time_share_a_token() {
    let names: Vec<String> = (0..6).map(|number| format!("/p{number}")).collect();
    let entry = |name: &String| json!({ "type": "Patient", "url": name, "count": 2 });
    let output: Vec<Value> = names.iter().map(entry).collect();
    let manifest = json!({ "requiresAccessToken": true, "output": output });
    let test = test(&manifest, [token("t1", 300), token("t2", 300)]);
    for name in &names {
        let file = answer(200, PATIENTS).only_for("t2");
        test.server.on(&format!("GET {name}"), [file]);
    }
    let summary = run(&options(&test, EC)).await.unwrap();
    assert_eq!(summary.files, 6);
    assert_eq!(forms(&test).len(), 2);
}

#[tokio::test]
async fn a_refusal_says_what_to_check() {
    for (status, code, hint) in [
        (401, "invalid_client", "\"test-ec\""),
        (400, "invalid_scope", "--scope"),
        (400, "unauthorized_client", "registered"),
        (403, "else", "--client-id"),
    ] {
        let body = json!({ "error": code, "error_description": "never heard of you" });
        let test = test(&json!({}), [answer(status, body.to_string())]);
        let ended = run(&options(&test, EC)).await.unwrap_err();
        let said = ended.to_string();
        assert_eq!(ended.exit_code(), 2, "{said}");
        for part in [code, "never heard of you", hint] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert_eq!(forms(&test).len(), 1, "asking again would not help");
        assert!(test.server.asked(KICKOFF).is_empty());
    }
    // A server that quotes what it was sent, and one that leads elsewhere with it.
    let elsewhere = Server::start();
    let to = format!("{}/token", elsewhere.url);
    let test = test(&json!({}), [answer(307, "").with("Location", &to)]);
    let ended = run(&options(&test, EC)).await.unwrap_err();
    assert_eq!(ended.exit_code(), 2, "{ended}");
    assert!(elsewhere.asked(TOKEN).is_empty());
    let sent = forms(&test)[0]["client_assertion"].clone();
    let body = json!({ "error": "invalid_client", "error_description": format!("bad {sent}") });
    test.server.on(TOKEN, [answer(401, body.to_string())]);
    let said = run(&options(&test, EC)).await.unwrap_err().to_string();
    assert!(said.contains("bad ...") && !said.contains(&sent), "{said}");
}

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Observer for Heard {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test]
async fn a_busy_token_endpoint_is_asked_again() {
    let test = Test::new(&json!({}));
    let body = json!({ "token_endpoint": test.url("/token") }).to_string();
    let busy = |status| answer(status, "").with("Retry-After", "0");
    test.server.on(DISCOVERY, [busy(502), answer(200, body)]);
    let cut = token("t0", 300).cut_after(5);
    test.server
        .on(TOKEN, [busy(503), busy(429), cut, token("t1", 300)]);
    let heard = Heard::default();
    let options = options(&test, EC);
    export(&options, &heard, CancellationToken::new())
        .await
        .unwrap();
    let forms = forms(&test);
    let jtis = forms
        .iter()
        .map(|form| verified(form, EC, &test.url("/token")));
    assert_eq!(jtis.collect::<HashSet<String>>().len(), 4, "each is new");
    let heard = heard.0.into_inner().unwrap();
    let waits = heard.iter().filter_map(|event| match event {
        Event::Waiting { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    let waits: Vec<&str> = waits.collect();
    assert_eq!(waits.len(), 4, "{waits:?}");
    assert!(waits[1].contains("503"), "{waits:?}");
    assert_eq!(test.server.asked(KICKOFF).len(), 1);

    test.server.on(TOKEN, [busy(503)]);
    let client = BulkClient::new(&options).unwrap();
    let ended = client.kick_off(&options).await.unwrap_err();
    assert_eq!(ended.exit_code(), 6, "{ended}");
    assert_eq!(test.server.asked(KICKOFF).len(), 1);
}

#[tokio::test]
async fn scopes_are_those_of_the_types_unless_given() {
    let scope = async |known: Value, types: &[&str], scopes: &[&str]| {
        let test = test(&json!({}), [token("t1", 300)]);
        knows(&test, known);
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let mut options = options(&test, EC);
        options.types = owned(types);
        options.credentials.as_mut().unwrap().scopes = owned(scopes);
        let client = BulkClient::new(&options).unwrap();
        client
            .poll(&test.url("/status").parse().unwrap())
            .await
            .unwrap();
        forms(&test)[0]["scope"].clone()
    };
    let (v1, v2) = (
        json!({ "capabilities": ["permission-v1"] }),
        json!({ "capabilities": ["permission-v2"] }),
    );
    assert_eq!(scope(v1.clone(), &[], &[]).await, "system/*.read");
    let types = ["Patient", "Observation"];
    let read = "system/Patient.read system/Observation.read";
    assert_eq!(scope(v1, &types, &[]).await, read);
    let rs = "system/Patient.rs system/Observation.rs";
    assert_eq!(scope(v2.clone(), &types, &[]).await, rs);
    let given = ["system/Group.rs  a", "b"];
    assert_eq!(scope(v2, &types, &given).await, "system/Group.rs a b");
}

#[tokio::test]
async fn a_server_without_smart_is_told_apart() {
    let none = Test::new(&json!({}));
    let ended = run(&options(&none, EC)).await.unwrap_err();
    assert_eq!(ended.exit_code(), 2);
    let said = ended.to_string();
    assert!(said.contains("smart-configuration answers 404"), "{said}");
    assert!(said.contains("--bearer-token-file"), "{said}");

    let cases = [
        (json!("?"), 6, "configuration"),
        (json!({}), 2, "token_endpoint"),
        (json!({ "token_endpoint": "/token" }), 2, "absolute"),
        (
            json!({ "token_endpoint": "http://example.org/t" }),
            2,
            "without https",
        ),
        (
            json!({
                "token_endpoint": "https://example.org/t",
                "token_endpoint_auth_signing_alg_values_supported": ["RS384"],
            }),
            2,
            "ES384",
        ),
    ];
    for (known, code, word) in cases {
        let test = Test::new(&json!({}));
        test.server.on(DISCOVERY, [answer(200, known.to_string())]);
        let ended = run(&options(&test, EC)).await.unwrap_err();
        assert_eq!(ended.exit_code(), code, "{ended}");
        assert!(ended.to_string().contains(word), "{ended}");
        assert!(test.server.asked(KICKOFF).is_empty());
    }
}

/// T-057: a redirect's target does not see the token, and is not asked about it.
#[tokio::test]
async fn the_token_stays_at_home() {
    let storage = Server::start();
    let signed = format!("{}/signed", storage.url);
    let test = test(&one_file(true), [token("t1", 300)]);
    let redirect = answer(307, "").with("Location", &signed);
    test.server.on("GET /p", [redirect.only_for("t1")]);
    // A link that has expired is no token that is refused.
    let expired = answer(401, "");
    storage.on("GET /signed", [expired, answer(200, PATIENTS)]);
    run(&options(&test, EC)).await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);
    let asked = storage.asked("GET /signed");
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert!(!asked.headers.contains_key("authorization"));
    }
    assert_eq!(forms(&test).len(), 1);
    assert_eq!(
        test.server.asked("GET /status").len(),
        2,
        "for a fresh link"
    );
}

#[tokio::test]
async fn files_that_need_no_token_and_status_elsewhere_get_none() {
    let elsewhere = Server::start();
    let test = test(&one_file(false), [token("t1", 300)]);
    let status = format!("{}/status", elsewhere.url);
    elsewhere.on("GET /status", [test.done(&one_file(false))]);
    let accepted = answer(202, "").with("Content-Location", &status);
    test.server.on(KICKOFF, [accepted.only_for("t1")]);
    test.server.on("GET /p", [answer(200, PATIENTS)]);
    run(&options(&test, EC)).await.unwrap();
    for asked in [
        &elsewhere.asked("GET /status")[0],
        &test.server.asked("GET /p")[0],
    ] {
        assert!(!asked.headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn headers_of_the_user_go_to_the_token_endpoint_at_home() {
    let elsewhere = Server::start();
    elsewhere.on(TOKEN, [token("t1", 300)]);
    let test = test(&json!({}), [token("t1", 300)]);
    let options = ExportOptions {
        headers: vec![("X-Tenant".to_owned(), "t".to_owned())],
        ..options(&test, EC)
    };
    run(&options).await.unwrap();
    let asked = [DISCOVERY, TOKEN].map(|one| test.server.asked(one).remove(0));
    for asked in asked {
        assert_eq!(asked.headers["x-tenant"], "t");
    }
    let known = json!({ "token_endpoint": format!("{}/token", elsewhere.url) });
    test.server.on(DISCOVERY, [answer(200, known.to_string())]);
    let client = BulkClient::new(&options).unwrap();
    let status = test.url("/status").parse().unwrap();
    client.poll(&status).await.unwrap();
    let asked = &elsewhere.asked(TOKEN)[0];
    assert!(!asked.headers.contains_key("x-tenant"));
}

#[tokio::test]
async fn two_ways_to_be_let_in_are_one_too_many() {
    let test = test(&json!({}), [token("t1", 300)]);
    let file = test.out.path().join("token");
    fs::write(&file, "secret").unwrap();
    let with_file = ExportOptions {
        bearer_token_file: Some(file),
        ..options(&test, EC)
    };
    let with_header = ExportOptions {
        headers: vec![("authorization".to_owned(), "Basic secret".to_owned())],
        ..options(&test, EC)
    };
    let mut nameless = options(&test, EC);
    nameless.credentials.as_mut().unwrap().client_id.clear();
    for options in [with_file, with_header, nameless] {
        let ended = run(&options).await.unwrap_err();
        assert!(matches!(ended, ExportError::BadOption(_)), "{ended}");
        assert!(!ended.to_string().contains("secret"), "{ended}");
    }
    assert!(test.server.asked(DISCOVERY).is_empty());
}

/// Stops when it hears of a wait of an hour.
struct Stops(CancellationToken);

impl Observer for Stops {
    fn event(&self, event: &Event) {
        if matches!(event, Event::Waiting { seconds: 3600, .. }) {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn waiting_for_a_token_can_be_interrupted() {
    let wait = answer(503, "").with("Retry-After", "3600");
    let test = test(&json!({}), [wait]);
    let stop = CancellationToken::new();
    let ended = export(&options(&test, EC), &Stops(stop.clone()), stop).await;
    assert_eq!(ended.unwrap_err().exit_code(), 130);
}
