//! `/clients`, and what all of the port has in common.

use serde_json::{Value, json};
use sluice_testkit::{Faults, When};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::{DOCUMENT, SECRET, Site};

fn etl() -> Value {
    json!({ "id": "etl", "name": "Warehouse", "scopes": ["system/Patient.rs"], "groups": ["g"] })
}

#[tokio::test]
async fn only_who_shows_the_secret_is_let_in() {
    let site = Site::open().await;
    let nearly = &SECRET[..SECRET.len() - 1];
    for headers in [
        String::new(),
        format!("Authorization: Bearer {nearly}\r\n"),
        format!("Authorization: Bearer {nearly}!\r\n"),
        "Authorization: Bearer \r\n".to_owned(),
        "Authorization: Bearer\r\n".to_owned(),
        format!("Authorization: Basic {SECRET}\r\n"),
        format!("Authorization: {SECRET}\r\n"),
        format!("Authorization: Bearer {SECRET}\r\nAuthorization: Bearer {SECRET}\r\n"),
    ] {
        for line in [
            "GET /clients/default",
            "POST /clients/default",
            "DELETE /clients/default/set",
            "GET /clients",
            "GET /clients/no-such-tenant",
        ] {
            let got = site.with(&headers, line, &etl().to_string()).await;
            assert_eq!(got.status, 401, "{line} {headers}");
            assert_eq!(got.header("www-authenticate"), Some("Bearer"));
            assert_eq!(got.header("cache-control"), Some("no-store"));
            assert!(!got.body.contains(nearly), "{}", got.body);
        }
    }
    let got = site.ask("GET /clients/default", "").await;
    let clients = got.json()["clients"].as_array().unwrap().len();
    assert_eq!((got.status, clients), (200, 1), "nothing was registered");
    let other_case = format!("authorization: bearer {SECRET}\r\n");
    let got = site.with(&other_case, "GET /clients/default", "").await;
    assert_eq!(got.status, 200);
    // The probes are for everybody.
    assert_eq!(site.with("", "GET /livez", "").await.status, 200);
    let lost = site.with("", "GET /clientsx", "").await;
    assert_eq!(lost.status, 404);
    assert!(lost.body.contains("/clients"), "{}", lost.body);
}

#[tokio::test]
async fn without_a_secret_there_is_nothing_and_it_says_what_to_set() {
    let site = Site::new("", &Faults::default()).await;
    for headers in [
        "",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer x\r\n",
    ] {
        let got = site.with(headers, "GET /clients/default", "").await;
        assert_eq!(got.status, 404);
        assert!(got.error().contains("admin.secret"), "{}", got.body);
    }
}

#[tokio::test]
async fn a_client_from_its_registration_to_its_removal() {
    let site = Site::open().await;
    let made = site.ask("POST /clients/default", &etl().to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("content-type"), Some("application/json"));
    let view = made.json();
    assert_eq!(
        (&view["id"], &view["enabled"]),
        (&json!("etl"), &json!(true))
    );
    assert_eq!(
        (&view["tenant"], &view["declared"]),
        (&json!("default"), &json!(false))
    );
    assert!(view["changed"].as_str().unwrap().ends_with('Z'));
    let shown = site.ask("GET /clients/default/etl", "").await;
    assert_eq!((shown.status, shown.json()), (200, view));

    let renamed = json!({ "name": "Lake", "scopes": ["system/*.rs"] }).to_string();
    let put = site.ask("PUT /clients/default/etl", &renamed).await;
    assert_eq!(
        (put.status, put.json()["name"].as_str()),
        (200, Some("Lake"))
    );
    assert_eq!(put.json().get("groups"), None, "all of it is replaced");
    let off = site.ask("POST /clients/default/etl/disable", "").await;
    assert_eq!((off.status, &off.json()["enabled"]), (200, &json!(false)));
    let on = site.ask("POST /clients/default/etl/enable", "").await;
    assert_eq!((on.status, &on.json()["enabled"]), (200, &json!(true)));

    let unnamed = json!({ "scopes": ["system/*.rs"] }).to_string();
    let unnamed = site.ask("POST /clients/default", &unnamed).await;
    let id = unnamed.json()["id"].as_str().unwrap().to_owned();
    let random = id.strip_prefix("c-").unwrap();
    assert!(random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let all = site.ask("GET /clients/default?x=y", "").await.json();
    let ids = all["clients"].as_array().unwrap();
    let ids: Vec<&str> = ids.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [id.as_str(), "etl", "set"]);
    let other = site.ask("GET /clients/other", "").await;
    assert_eq!(other.json(), json!({ "clients": [] }));

    let gone = site.ask("DELETE /clients/default/etl", "").await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(site.ask("GET /clients/default/etl", "").await.status, 404);
    site.refused("POST /clients/default", &etl(), 409, "take another")
        .await;
}

#[tokio::test]
async fn every_refusal_says_why() {
    let site = Site::open().await;
    let (nothing, plain) = (json!({}), json!({ "scopes": ["system/*.rs"] }));
    let here = "POST /clients/default";
    assert_eq!(site.ask(here, &etl().to_string()).await.status, 201);
    site.refused(here, &etl(), 409, "in use").await;
    site.refused("PUT /clients/default/set", &plain, 409, "settings")
        .await;
    site.refused("DELETE /clients/default/set", &nothing, 409, "settings")
        .await;
    let off = site.ask("POST /clients/default/set/disable", "").await;
    assert_eq!((off.status, &off.json()["enabled"]), (200, &json!(false)));

    let unknown = json!({ "scopes": ["system/*.rs"], "grups": ["g"] });
    site.refused(here, &unknown, 400, "grups").await;
    site.refused("PUT /clients/default/etl", &etl(), 400, "`id`")
        .await;
    site.refused(here, &nothing, 400, "scopes").await;
    site.refused(here, &json!([1]), 400, "no JSON object").await;
    site.refused(here, &json!({ "id": 7 }), 400, "id must be a text")
        .await;
    site.refused(here, &json!({ "id": "a/b" }), 400, "id: ")
        .await;
    let wrong = json!({ "scopes": ["system/*.write"], "levels": [], "groups": ["a b"] });
    for problem in ["scope", "levels is empty", "no id of a Group"] {
        site.refused(here, &wrong, 400, problem).await;
    }

    for line in [
        "GET /clients",
        "GET /clients/",
        "GET /clients/nobody",
        "GET /clients/No%20Tenant",
        "GET /clients/default/",
        "GET /clients/default/nobody",
        "GET /clients/default/..",
        "DELETE /clients/default/nobody",
        "PUT /clients/nobody/etl",
        "POST /clients/default/nobody/enable",
        "POST /clients/default/etl/explode",
        "GET /clients/default/etl/disable/x",
    ] {
        let got = site.ask(line, &plain.to_string()).await;
        assert_eq!(got.status, 404, "{line}: {}", got.body);
        assert!(got.error().contains("no such"), "{line}: {}", got.body);
    }
    site.takes_only(&[
        ("PUT /clients/default", "GET, POST"),
        ("PATCH /clients/default/etl", "GET, PUT, DELETE"),
        ("GET /clients/default/etl/enable", "POST"),
    ])
    .await;
}

#[tokio::test]
async fn a_body_is_bounded_and_no_stranger_is_waited_for() {
    let site = Site::open().await;
    let fitting = " ".repeat(128 * 1024 - 2) + "[]";
    let got = site.ask("POST /clients/default", &fitting).await;
    assert_eq!(
        (got.status, got.error().contains("JSON object")),
        (400, true)
    );
    let got = site.ask("POST /clients/default", &(fitting + " ")).await;
    assert_eq!(got.status, 413, "{}", got.body);
    // Without saying how long it is, too.
    let chunk = "10000\r\n".to_owned() + &" ".repeat(0x10000) + "\r\n";
    let request = format!(
        "POST /clients/default HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {SECRET}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(3)
    );
    assert_eq!(site.raw(request.as_bytes()).await.status, 413);
    let broken = request.replace("10000\r\n", "nonsense\r\n");
    assert_eq!(site.raw(broken.as_bytes()).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn who_sends_slowly_is_not_waited_for_for_ever() {
    let site = Site::open().await;
    let head = format!(
        "POST /clients/default HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {SECRET}\r\n\
         Content-Length: 10\r\n\r\n{{"
    );
    let got = site.raw(head.as_bytes()).await;
    assert_eq!(
        (got.status, got.error().contains("10 seconds")),
        (408, true)
    );
    let mut half = TcpStream::connect(site.address).await.unwrap();
    half.write_all(b"GET /livez HT").await.unwrap();
    let mut answer = Vec::new();
    half.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn trouble_in_the_store_is_503_and_nothing_is_lost() {
    for when in [When::Before, When::After] {
        // Listing and reading fail at once; writing is tried again, as its answer may have got lost.
        for call in 0..4 {
            let site = Site::new(SECRET, &Faults::nth(call, when)).await;
            let got = site.ask("POST /clients/default", &etl().to_string()).await;
            if got.status == 503 {
                assert_eq!(got.header("retry-after"), Some("5"));
                assert!(!got.body.contains("fault injected"), "{}", got.body);
                let again = site.ask("POST /clients/default", &etl().to_string()).await;
                assert_eq!(again.status, 201, "call {call} {when:?}: {}", again.body);
            } else {
                assert_eq!(got.status, 201, "call {call} {when:?}: {}", got.body);
            }
            let shown = site.ask("GET /clients/default/etl", "").await;
            assert_eq!(shown.json()["name"], "Warehouse");
        }
    }
}

#[tokio::test]
async fn probes_are_read_and_nothing_else() {
    let site = Site::open().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let got = site.with("", &format!("{method} {path}"), "").await;
            let told = (got.status, got.header("allow"));
            assert_eq!(told, (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn whatever_the_document_has_is_there() {
    let site = Site::open().await;
    let mut operations = DOCUMENT.operations();
    // Those of FHIR bases are the gateway's, and a worker's are its own.
    operations.retain(|(_, path)| !path.starts_with("/{tenant}/") && path != "/drain");
    assert_eq!(operations.len(), 13 + 13);
    for (method, path) in operations {
        let path = path
            .replace("{tenant}", "default")
            .replace("{client}", "set")
            .replace("{job}", &"ab".repeat(16));
        let got = site
            .with(
                &format!("Authorization: Bearer {SECRET}\r\n"),
                &format!("{method} {path}"),
                "",
            )
            .await;
        let is_there = path.starts_with("/jobs/") && got.body.contains("no such job")
            || ![404, 405].contains(&got.status);
        assert!(is_there, "{method} {path}: {}", got.body);
    }
}
