//! The client against servers as they are in the field, and as they should not be.
#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "what surprises a test should end it"
)]

mod scripted;
mod smart;

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sluice_client::{ExportError, ExportOptions, Level, Summary, export};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use scripted::{Answer, Server, answer};

const KICKOFF: &str = "GET /fhir/Patient/$export?_outputFormat=application%2Ffhir%2Bndjson";
const PATIENTS: &str = "{\"resourceType\":\"Patient\",\"id\":\"a\"}\n\
                        {\"resourceType\":\"Patient\",\"id\":\"b\"}\n";

struct Test {
    server: Server,
    out: TempDir,
}

fn manifest(more: &Value) -> Value {
    let mut manifest = json!({
        "transactionTime": "2026-03-01T00:00:00.000Z",
        "request": "x",
        "requiresAccessToken": false,
        "output": [],
        "error": [],
    });
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    manifest
}

impl Test {
    /// A server that accepts an export and has this manifest for it.
    fn new(more: &Value) -> Self {
        let test = Self {
            server: Server::start(),
            out: tempfile::tempdir().unwrap(),
        };
        let accepted = answer(202, "").with("Content-Location", &test.url("/status"));
        test.server.on(KICKOFF, [accepted]);
        test.server.on("GET /status", [test.done(more)]);
        test
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url)
    }

    /// URLs in a manifest are paths here.
    fn done(&self, more: &Value) -> Answer {
        let text = manifest(more).to_string();
        let whole = text.replace("\"url\":\"/", &format!("\"url\":\"{}/", self.server.url));
        answer(200, whole).with("Content-Type", "application/json")
    }

    fn options(&self) -> ExportOptions {
        let base = self.url("/fhir").parse().unwrap();
        ExportOptions::new(base, Level::Patient, self.out.path())
    }

    async fn run(&self) -> Result<Summary, ExportError> {
        export(&self.options(), &(), CancellationToken::new()).await
    }

    fn file(&self, name: &str) -> String {
        read(&self.out.path().join(name))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn ours(body: &str) -> Value {
    json!({
        "urn:sluice:bytes": body.len(),
        "urn:sluice:sha256": hex::encode(Sha256::digest(body)),
    })
}

fn outcome(code: &str) -> Vec<u8> {
    let issue = json!([{ "severity": "error", "code": code, "diagnostics": "because" }]);
    json!({ "resourceType": "OperationOutcome", "issue": issue })
        .to_string()
        .into()
}

/// No extension, always gzip, no newline at the end, dates in `Retry-After`, a 429 and a 503.
#[tokio::test]
async fn another_makers_server() {
    let entry = json!([{ "type": "Patient", "url": "/p", "count": 2 }]);
    let test = Test::new(&json!({ "output": entry, "deleted": [
        { "type": "Bundle", "url": "/d", "count": 1 }] }));
    let date = "Sun, 01 Mar 2026 00:00:00 GMT";
    test.server.on(
        "GET /status",
        [
            answer(202, "")
                .with("X-Progress", "\"40% complete\"")
                .with("Date", date)
                .with("Retry-After", date),
            answer(429, outcome("throttled")).with("Retry-After", "0"),
            answer(503, "<html>").with("Retry-After", "0"),
            answer(500, outcome("transient")).with("Retry-After", "0"),
            test.done(&json!({ "output": entry, "deleted": [
                { "type": "Bundle", "url": "/d", "count": 1 }] })),
        ],
    );
    let packed = answer(200, gzip(PATIENTS.trim_end())).with("Content-Encoding", "gzip");
    test.server.on("GET /p", [packed]);
    test.server.on("GET /d", [answer(200, "{}\n")]);
    let summary = test.run().await.unwrap();
    assert_eq!((summary.files, summary.resources), (2, 2));
    assert_eq!(summary.deletions, 1);
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS.trim_end());
    assert_eq!(test.file("deleted/Bundle.1.ndjson"), "{}\n");
    assert_eq!(test.server.asked("GET /status").len(), 5);
}

/// Version 4 of the guide: `outcome` instead of `error`, items without a type, and no `request`.
#[tokio::test]
async fn version_4_of_the_guide() {
    let test = Test::new(&json!({}));
    let body = json!({
        "transactionTime": "2026-03-01T00:00:00Z",
        "requiresAccessToken": false,
        "output": [{ "type": "Patient", "url": test.url("/p") }],
        "outcome": [{ "url": test.url("/o") }],
    });
    test.server
        .on("GET /status", [answer(200, body.to_string())])
        .on("GET /p", [answer(200, PATIENTS)])
        .on("GET /o", [answer(200, outcome("informational"))]);
    let summary = test.run().await.unwrap();
    assert_eq!((summary.resources, summary.outcomes), (2, 1));
}

/// R-182, T-057: the token goes to the server that wants it, and never to a redirect's target.
#[tokio::test]
async fn the_token_goes_nowhere_else() {
    let storage = Server::start();
    storage.on("GET /signed", [answer(200, PATIENTS)]);
    let test = Test::new(&json!({
        "requiresAccessToken": true,
        "output": [{ "type": "Patient", "url": "/p" }],
    }));
    let redirect = answer(307, "").with("Location", &format!("{}/signed", storage.url));
    test.server.on("GET /p", [redirect]);
    let token = test.out.path().join("token");
    fs::write(&token, "secret\n").unwrap();
    let options = ExportOptions {
        bearer_token_file: Some(token),
        ..test.options()
    };
    export(&options, &(), CancellationToken::new())
        .await
        .unwrap();
    for request in [KICKOFF, "GET /status", "GET /p"] {
        let asked = &test.server.asked(request)[0];
        assert_eq!(asked.headers["authorization"], "Bearer secret", "{request}");
    }
    let asked = &storage.asked("GET /signed")[0];
    assert!(!asked.headers.contains_key("authorization"));

    let test = Test::new(&json!({ "output": [{ "type": "Patient", "url": "/p" }] }));
    test.server.on("GET /p", [answer(200, PATIENTS)]);
    let options = ExportOptions {
        out: test.out.path().to_owned(),
        server: test.url("/fhir").parse().unwrap(),
        headers: vec![("X-Tenant".to_owned(), "t".to_owned())],
        ..options
    };
    export(&options, &(), CancellationToken::new())
        .await
        .unwrap();
    let asked = &test.server.asked("GET /p")[0];
    assert!(!asked.headers.contains_key("authorization"));
    assert_eq!(asked.headers["x-tenant"], "t", "its own origin");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Nothing in the manifest says what the file must be, and yet half of it is not it.
#[tokio::test]
async fn half_a_gzip_body_or_half_a_line_is_no_file() {
    let entry = json!({ "output": [{ "type": "Patient", "url": "/p" }] });
    let packed = gzip(&PATIENTS.repeat(500));
    let half = answer(200, &packed[..packed.len() / 2]).with("Content-Encoding", "gzip");
    let cut = answer(200, &PATIENTS[..50]);
    for body in [half, cut] {
        let test = Test::new(&entry);
        test.server.on("GET /p", [body]);
        assert_eq!(test.run().await.unwrap_err().exit_code(), 5);
    }
    let test = Test::new(&entry);
    test.server.on("GET /p", [answer(200, PATIENTS)]);
    assert_eq!(test.run().await.unwrap().unchecked, 1);
}

#[tokio::test]
async fn codings_are_understood_or_refused() {
    let entry = json!({ "output": [{ "type": "Patient", "url": "/p", "count": 2 }] });
    let (one, two) = PATIENTS.split_at(PATIENTS.len() / 2);
    let members = [gzip(one), gzip(two)].concat();
    let test = Test::new(&entry);
    let packed = answer(200, members).with("Content-Encoding", "x-gzip");
    test.server.on("GET /p", [packed]);
    test.run().await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);
    let test = Test::new(&entry);
    let packed = answer(200, "?").with("Content-Encoding", "br");
    test.server.on("GET /p", [packed]);
    assert_eq!(test.run().await.unwrap_err().exit_code(), 6);
}

/// Version 3 may spread a manifest over pages.
#[tokio::test]
async fn every_page_of_a_manifest_is_fetched() {
    let page = |path: &str| json!([{ "type": "Patient", "url": path, "count": 2 }]);
    let test = Test::new(&json!({}));
    let link = json!([{ "relation": "next", "url": test.url("/more") }]);
    let first = test.done(&json!({ "output": page("/a"), "link": link, "deleted": null }));
    let second = test.done(&json!({ "output": page("/b"), "outcome": [] }));
    test.server
        .on("GET /status", [first])
        .on(
            "GET /more",
            [answer(202, "").with("Retry-After", "0"), second],
        )
        .on("GET /a", [answer(200, PATIENTS)])
        .on("GET /b", [answer(200, PATIENTS)]);
    let summary = test.run().await.unwrap();
    assert_eq!((summary.files, summary.resources), (2, 4));
    assert!(summary.is_new);
    assert!(!test.run().await.unwrap().is_new, "nothing was left to do");

    let test = Test::new(&json!({}));
    let circle = json!({ "link": [{ "relation": "next", "url": test.url("/status") }] });
    test.server.on("GET /status", [test.done(&circle)]);
    assert_eq!(test.run().await.unwrap_err().exit_code(), 6);
}

#[tokio::test]
async fn a_manifest_that_is_no_manifest_is_not_asked_for_again() {
    let test = Test::new(&json!({}));
    test.server
        .on("GET /status", [answer(200, "{\"output\": 5}")]);
    assert_eq!(test.run().await.unwrap_err().exit_code(), 6);
    assert_eq!(test.server.asked("GET /status").len(), 1);
}

/// An export that may have been started must not be started again.
#[tokio::test]
async fn a_kickoff_whose_answer_got_lost_is_not_repeated() {
    let test = Test::new(&json!({}));
    test.server.on(KICKOFF, [answer(504, "")]);
    assert_eq!(test.run().await.unwrap_err().exit_code(), 2);
    assert_eq!(test.server.asked(KICKOFF).len(), 1);
}

#[tokio::test]
async fn a_folder_keeps_to_its_export() {
    let test = Test::new(&json!({}));
    test.run().await.unwrap();
    let options = ExportOptions {
        status_url: Some(test.url("/other").parse().unwrap()),
        ..test.options()
    };
    let refused = export(&options, &(), CancellationToken::new()).await;
    assert_eq!(refused.unwrap_err().exit_code(), 7);
    let ftp = ExportOptions {
        server: "ftp://h/fhir".parse().unwrap(),
        ..test.options()
    };
    let refused = export(&ftp, &(), CancellationToken::new()).await;
    assert_eq!(refused.unwrap_err().exit_code(), 7);
}

#[tokio::test]
async fn an_expired_link_is_renewed_from_the_manifest() {
    let entry = |path: &str| json!({ "output": [{ "type": "Patient", "url": path, "count": 2 }] });
    let test = Test::new(&entry("/old"));
    let (old, new) = (test.done(&entry("/old")), test.done(&entry("/new")));
    test.server
        .on("GET /status", [old, new])
        .on("GET /old", [answer(403, "expired")])
        .on("GET /new", [answer(200, PATIENTS)]);
    test.run().await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);

    let test = Test::new(&entry("/old"));
    test.server.on("GET /old", [answer(403, "expired")]);
    assert_eq!(test.run().await.unwrap_err().exit_code(), 6);
}

#[tokio::test]
async fn a_broken_connection_is_gone_on_with_from_the_byte_where_it_broke() {
    let entry = json!([{ "type": "Patient", "url": "/p", "count": 2,
        "extension": ours(PATIENTS) }]);
    let test = Test::new(&json!({ "output": entry }));
    let range = format!("bytes 50-{}/{}", PATIENTS.len() - 1, PATIENTS.len());
    test.server.on(
        "GET /p",
        [
            answer(200, PATIENTS).with("ETag", "\"v1\"").cut_after(50),
            answer(206, &PATIENTS[50..])
                .with("ETag", "\"v1\"")
                .with("Content-Range", &range),
        ],
    );
    test.run().await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);
    let second = &test.server.asked("GET /p")[1];
    assert_eq!(second.headers["range"], "bytes=50-");
    assert_eq!(second.headers["if-range"], "\"v1\"");
}

/// A store that keeps the file packed has no part of it to give, however often the connection
/// breaks; that is no reason to call its bytes wrong.
#[tokio::test]
async fn a_file_that_is_stored_packed_is_fetched_whole_again() {
    let entry = json!([{ "type": "Patient", "url": "/p", "count": 400,
        "extension": ours(&PATIENTS.repeat(200)) }]);
    let test = Test::new(&json!({ "output": entry }));
    let packed = gzip(&PATIENTS.repeat(200));
    let whole = answer(200, packed.clone()).with("Content-Encoding", "gzip");
    let broken = whole.clone().cut_after(packed.len() - 20);
    let part = answer(206, &packed[9..])
        .with("Content-Encoding", "gzip")
        .with("Content-Range", "bytes 9-99/999");
    let no_part = answer(416, "");
    let answers = [broken.clone(), part, broken, no_part, whole];
    test.server.on("GET /p", answers);
    test.run().await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS.repeat(200));
}

/// The file changed meanwhile, so the server sends all of it: nothing of the part is kept.
#[tokio::test]
async fn a_changed_file_is_fetched_anew() {
    let test = Test::new(&json!({ "output": [{ "type": "Patient", "url": "/p", "count": 2 }] }));
    test.server.on(
        "GET /p",
        [
            answer(200, "x".repeat(90))
                .with("ETag", "\"v0\"")
                .cut_after(60),
            answer(200, PATIENTS).with("ETag", "\"v1\""),
        ],
    );
    test.run().await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);
}

#[tokio::test]
async fn wrong_bytes_are_fetched_once_more_and_then_refused() {
    let entry = |count: u64| json!([{ "type": "Patient", "url": "/p", "count": count, "extension": ours(PATIENTS) }]);
    let wrong = PATIENTS.replace("\"a\"", "\"z\"");
    let test = Test::new(&json!({ "output": entry(2) }));
    test.server.on(
        "GET /p",
        [answer(200, wrong.clone()), answer(200, PATIENTS)],
    );
    test.run().await.unwrap();
    assert_eq!(test.file("Patient.1.ndjson"), PATIENTS);

    for (served, count) in [(wrong.as_str(), 2), (PATIENTS, 3)] {
        let test = Test::new(&json!({ "output": entry(count) }));
        test.server.on("GET /p", [answer(200, served)]);
        let ended = test.run().await.unwrap_err();
        assert_eq!(ended.exit_code(), 5, "{ended}");
        assert!(!test.out.path().join("Patient.1.ndjson").exists());
    }
}

#[tokio::test]
async fn what_the_server_says_of_a_failure_is_told() {
    for (status, code, exit) in [
        (500, "exception", 3),
        (404, "deleted", 4),
        (410, "deleted", 4),
    ] {
        let test = Test::new(&json!({}));
        test.server
            .on("GET /status", [answer(status, outcome(code))]);
        let ended = test.run().await.unwrap_err();
        assert_eq!(ended.exit_code(), exit, "{ended}");
        assert!(ended.to_string().contains("because"), "{ended}");
    }
    let test = Test::new(&json!({}));
    test.server.on(KICKOFF, [answer(400, outcome("invalid"))]);
    let ended = test.run().await.unwrap_err();
    assert_eq!(ended.exit_code(), 2);
    assert!(ended.to_string().contains("because"), "{ended}");
    let test = Test::new(&json!({}));
    test.server.on(KICKOFF, [answer(202, "")]);
    let ended = test.run().await.unwrap_err();
    assert!(ended.to_string().contains("Content-Location"), "{ended}");
}

#[tokio::test]
async fn a_manifest_cannot_write_outside_the_folder() {
    let test = Test::new(&json!({ "output": [{ "type": "../../x", "url": "/p" }] }));
    assert_eq!(test.run().await.unwrap_err().exit_code(), 6);
}
