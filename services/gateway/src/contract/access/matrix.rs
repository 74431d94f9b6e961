//! Show 2 of issue C: every route and every actor, and what each hears (R-004, R-005, rule 22, G7, G8).

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::json;
use sluice_auth::LevelName;
use sluice_engine::Files;
use sluice_testkit::Faults;

use super::super::{EXPORT, local};
use super::{Secured, registration};

/// Who asks, in the order of the columns.
const ACTORS: [&str; 6] = [
    "owner",
    "other client",
    "other tenant",
    "no token",
    "expired",
    "narrow scope",
];

/// The tokens of the actors.
async fn tokens(secured: &Secured) -> [Option<String>; 6] {
    let expired = secured.token("default", "owner", "system/*.rs").await;
    secured.site.clock.pass(std::time::Duration::from_mins(6));
    [
        Some(secured.token("default", "owner", "system/*.rs").await),
        Some(secured.token("default", "stranger", "system/*.rs").await),
        Some(secured.token("other", "owner", "system/*.rs").await),
        None,
        Some(expired),
        Some(secured.token("default", "owner", "system/Device.rs").await),
    ]
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn every_route_answers_every_actor_as_it_should() {
    let secured = Secured::with(&Faults::default(), |access| access.files = Files::Stream);
    secured.site.work();
    let tokens = tokens(&secured).await;
    let owner = tokens[0].as_deref().unwrap();
    let (status, manifest) = secured.export(EXPORT, owner).await;
    let (doomed, _) = secured
        .export(&format!("{EXPORT}?_type=Patient"), owner)
        .await;
    let file = local(manifest["output"][0]["url"].as_str().unwrap()).to_owned();
    let (status, doomed) = (local(&status).to_owned(), local(&doomed).to_owned());
    let unknown = format!("/default/fhir/bulk-export/jobs/{}", "0".repeat(32));
    let typed = |path: &str| format!("{path}?_type=Patient");
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    // owner, other client, other tenant, no token, expired, narrow scope. Deleting comes last.
    let table = [
        (
            &get,
            typed("/default/fhir/$export"),
            [202, 202, 401, 401, 401, 403],
        ),
        (&get, typed(EXPORT), [202, 202, 401, 401, 401, 403]),
        (&post, typed(EXPORT), [202, 202, 401, 401, 401, 403]),
        (
            &get,
            typed("/default/fhir/Group/everyone/$export"),
            [202, 202, 401, 401, 401, 403],
        ),
        (
            &get,
            typed("/default/fhir/Group/nobody/$export"),
            [404, 404, 401, 401, 401, 403],
        ),
        (
            &get,
            "/default/fhir/Group".to_owned(),
            [200, 200, 401, 401, 401, 403],
        ),
        (
            &get,
            "/default/fhir/Group/everyone".to_owned(),
            [200, 200, 401, 401, 401, 403],
        ),
        (
            &get,
            "/default/fhir/Group/nobody".to_owned(),
            [404, 404, 401, 401, 401, 403],
        ),
        (&get, status.clone(), [200, 404, 401, 401, 401, 403]),
        (&get, unknown.clone(), [404, 404, 401, 401, 401, 404]),
        (&get, file.clone(), [200, 404, 401, 401, 401, 403]),
        (
            &get,
            format!("{file}.nothing"),
            [404, 404, 401, 401, 401, 404],
        ),
        (&get, "/default/fhir/metadata".to_owned(), [200; 6]),
        (
            &get,
            "/default/fhir/OperationDefinition/export".to_owned(),
            [200; 6],
        ),
        (
            &get,
            "/default/fhir/.well-known/smart-configuration".to_owned(),
            [200; 6],
        ),
        (&get, "/default/oauth2/jwks".to_owned(), [200; 6]),
        (&get, "/default/oauth2/token".to_owned(), [405; 6]),
        (&get, "/default/fhir/Patient/1".to_owned(), [404; 6]),
        (&delete, unknown, [404, 404, 401, 401, 401, 404]),
    ];
    for (method, path, expected) in &table {
        row(&secured, &tokens, (method, path), *expected).await;
    }
    // C-043: who may delete does not depend on scopes; and the first who may has done it.
    for (actor, expected) in [(1, 404), (2, 401), (3, 401), (4, 401), (5, 202), (0, 404)] {
        let request = TestRequest::delete().uri(&doomed);
        let got = secured.send(request, tokens[actor].as_deref()).await;
        assert_eq!(got.status.as_u16(), expected, "DELETE as {}", ACTORS[actor]);
    }
    let gone = secured.get(&doomed, owner).await;
    assert_eq!(
        (gone.status, gone.issue().as_str()),
        (StatusCode::NOT_FOUND, "deleted")
    );
    let theirs = secured.get(&doomed, tokens[1].as_deref().unwrap()).await;
    assert_eq!(theirs.issue(), "not-found", "to others it never was");
}

async fn row(
    secured: &Secured,
    tokens: &[Option<String>; 6],
    (method, path): (&Method, &str),
    expected: [u16; 6],
) {
    for ((actor, token), expected) in ACTORS.iter().zip(tokens).zip(expected) {
        // Polls of six actors at one instant are no haste.
        secured.site.clock.pass(std::time::Duration::from_millis(1));
        let request = TestRequest::default().method(method.clone()).uri(path);
        let got = secured.send(request, token.as_deref()).await;
        let body = String::from_utf8_lossy(&got.body);
        assert_eq!(
            got.status.as_u16(),
            expected,
            "{method} {path} as {actor}: {body}"
        );
        match got.status {
            StatusCode::UNAUTHORIZED => {
                assert!(
                    got.header("www-authenticate").starts_with("Bearer"),
                    "{path}"
                );
                assert_eq!(got.header("cache-control"), "no-store");
            }
            StatusCode::FORBIDDEN => assert_eq!(got.issue(), "forbidden"),
            StatusCode::NOT_FOUND => assert_eq!(got.issue(), "not-found", "{path} as {actor}"),
            _ => {}
        }
    }
}

/// Another's job is told of in the words for a job that never was.
#[tokio::test]
async fn g7_another_clients_job_is_not_there() {
    let secured = Secured::new();
    let [owner, stranger] = ["owner", "stranger"];
    let owner = secured.token("default", owner, "system/*.rs").await;
    let stranger = secured.token("default", stranger, "system/*.rs").await;
    let started = secured.get(EXPORT, &owner).await;
    let status = local(started.header("content-location")).to_owned();
    let unknown = format!("/default/fhir/bulk-export/jobs/{}", "0".repeat(32));
    for method in [Method::GET, Method::DELETE] {
        let mut answers = Vec::new();
        for path in [&status, &unknown] {
            let request = TestRequest::default().method(method.clone()).uri(path);
            let got = secured.send(request, Some(&stranger)).await;
            answers.push((got.status, got.body));
        }
        assert_eq!(answers[0], answers[1]);
    }
    assert_eq!(
        secured.get(&status, &owner).await.status,
        StatusCode::ACCEPTED,
        "it is still there"
    );
    // Nor at another tenant's address.
    let elsewhere = status.replace("/default/", "/other/");
    let theirs = secured.token("other", "owner", "system/*.rs").await;
    assert_eq!(
        secured.get(&elsewhere, &theirs).await.status,
        StatusCode::NOT_FOUND
    );
}

/// G8: what is asked beyond the grant is refused; what is not asked is bounded by it.
#[tokio::test]
async fn g8_types_are_what_is_asked_and_granted() {
    let secured = Secured::new();
    secured.site.work();
    let narrow = secured.token("default", "narrow", "system/*.rs").await;
    let (_, manifest) = secured.export(EXPORT, &narrow).await;
    let types: Vec<&str> = manifest["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["type"].as_str().unwrap())
        .collect();
    assert!(
        !types.is_empty() && types.iter().all(|kind| *kind == "Patient"),
        "{types:?}"
    );
    let got = secured
        .get(&format!("{EXPORT}?_type=Patient,Observation"), &narrow)
        .await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(
        got.json()["issue"][0]["diagnostics"]
            .as_str()
            .unwrap()
            .contains("Observation")
    );
    let lenient = TestRequest::get()
        .uri("/default/fhir/Patient/$export?_type=Patient,Observation")
        .insert_header(("prefer", "handling=lenient"));
    let got = secured.send(lenient, Some(&narrow)).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN, "leniency grants nothing");
    let reads = secured.token("default", "owner", "system/Patient.r").await;
    assert_eq!(
        secured.get(EXPORT, &reads).await.status,
        StatusCode::FORBIDDEN,
        "T-071"
    );
}

#[tokio::test]
async fn r_008_groups_that_are_not_the_clients_are_not_there() {
    let secured = Secured::new();
    let token = secured.token("default", "grouped", "system/*.rs").await;
    for path in [
        "/default/fhir/Group/everyone/$export",
        "/default/fhir/Group/everyone",
    ] {
        let got = secured.get(path, &token).await;
        assert_eq!(
            (got.status, got.issue().as_str()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{path}"
        );
    }
    for path in ["/default/fhir/Group", "/default/fhir/Group?_id=everyone"] {
        let found = secured.get(path, &token).await.json();
        assert_eq!(found["total"], 0, "{path}");
    }
    // Who has groups has no other way round them.
    for path in [EXPORT, "/default/fhir/$export"] {
        let got = secured.get(path, &token).await;
        assert_eq!(
            (got.status, got.issue().as_str()),
            (StatusCode::FORBIDDEN, "forbidden"),
            "{path}"
        );
    }
    let all = secured.token("default", "owner", "system/*.rs").await;
    let found = secured
        .get("/default/fhir/Group?_id=everyone", &all)
        .await
        .json();
    assert_eq!(found["total"], 1);
}

/// C-037: who may export a group is the registration's to say; no scope for the Group itself is wanted,
/// though reading it takes one.
#[tokio::test]
async fn c_037_a_group_is_exported_without_a_scope_for_groups() {
    let secured = Secured::new();
    let token = secured.token("default", "owner", "system/Patient.rs").await;
    let path = "/default/fhir/Group/everyone/$export?_type=Patient";
    assert_eq!(secured.get(path, &token).await.status, StatusCode::ACCEPTED);
    let got = secured.get("/default/fhir/Group/everyone", &token).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
}

/// C-014: a site may switch levels off.
#[tokio::test]
async fn levels_that_are_off_are_501_and_not_told_of() {
    let secured = Secured::with(&Faults::default(), |access| {
        access.levels = [LevelName::Group].into_iter().collect();
        access
            .clients
            .insert("all".parse().unwrap(), registration(&json!({})));
    });
    let token = secured.token("default", "owner", "system/*.rs").await;
    for path in [EXPORT, "/default/fhir/$export"] {
        let got = secured.get(path, &token).await;
        assert_eq!(
            (got.status.as_u16(), got.issue().as_str()),
            (501, "not-supported"),
            "{path}"
        );
    }
    let got = secured
        .get("/default/fhir/Group/everyone/$export", &token)
        .await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    let metadata = secured
        .get("/default/fhir/metadata", &token)
        .await
        .json()
        .to_string();
    assert!(metadata.contains("group-export") && !metadata.contains("patient-export"));
    let got = secured
        .get("/default/fhir/OperationDefinition/patient-export", &token)
        .await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
}
