//! The adapter against servers with real TLS on loopback: honest ones, broken ones and hostile ones.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod server;

use std::time::Duration;

use sluice_jwks_http::{JwksHttp, JwksHttpError, JwksHttpOptions};
use sluice_ports::{FetchedKeys, KeyFetch, PortError, PortKind};
use tokio_rustls::rustls::version;

use server::{Answer, Authority, Server, ok, status};

const KEYS: &[u8] = br#"{"keys": []}"#;
const MOST: usize = 64 * 1024;

/// Trusts the authority, and lets these hosts be at private addresses.
fn options(authority: &Authority, private: &[&str]) -> JwksHttpOptions {
    JwksHttpOptions {
        private_hosts: private.iter().map(|&host| host.to_owned()).collect(),
        extra_roots_pem: Some(authority.pem()),
        // A machine with much to do is not to fail a test.
        timeout: Duration::from_mins(1),
        connect_timeout: Duration::from_mins(1),
    }
}

/// Fetches from a server on this machine that is allowed to be there.
async fn fetch(answer: Answer) -> Result<FetchedKeys, PortError> {
    let authority = Authority::new();
    let server = Server::start(&authority, answer).await;
    let http = JwksHttp::new(options(&authority, &["localhost"])).unwrap();
    http.fetch(&server.url("localhost")).await
}

/// What a fetch was refused for, or had trouble with. None may show the URL's path or query.
fn told(result: Result<FetchedKeys, PortError>, kind: PortKind) -> String {
    let error = result.unwrap_err();
    let chain = error.chain();
    assert_eq!(error.kind, kind, "{chain}");
    assert!(
        !chain.contains("hush") && !chain.contains("tenant"),
        "{chain}"
    );
    chain
}

fn assert_told(result: Result<FetchedKeys, PortError>, kind: PortKind, words: &str) {
    let chain = told(result, kind);
    assert!(chain.contains(words), "{words:?} is not in {chain:?}");
}

#[tokio::test]
async fn a_set_comes_with_its_life() {
    let headers =
        "Content-Type: application/json\r\nCache-Control: public, max-age=300\r\nAge: 60\r\n";
    let fetched = fetch(ok(headers, KEYS)).await.unwrap();
    assert_eq!(fetched.body, KEYS);
    assert_eq!(fetched.life, Some(Duration::from_mins(4)));

    let fetched = fetch(ok("Cache-Control: no-store\r\n", KEYS))
        .await
        .unwrap();
    assert_eq!(fetched.life, Some(Duration::ZERO));
    let fetched = fetch(ok("Content-Encoding: identity\r\n", KEYS))
        .await
        .unwrap();
    assert_eq!(fetched.life, None);
}

#[tokio::test]
async fn the_request_is_plain_and_every_fetch_is_a_new_one() {
    let authority = Authority::new();
    let cookie = ok("Set-Cookie: a=b\r\nCache-Control: max-age=300\r\n", KEYS);
    // The connection could be used again, but is not.
    let server = Server::start(&authority, cookie.kept_open()).await;
    let http = JwksHttp::new(options(&authority, &["LocalHost"])).unwrap();
    for host in ["localhost", "LOCALHOST"] {
        http.fetch(&server.url(host)).await.unwrap();
    }
    assert_eq!(server.connections(), 2);
    for request in server.requests() {
        let request = request.to_ascii_lowercase();
        assert!(request.starts_with("get /tenant/jwks?token=hush http/1.1\r\n"));
        assert!(
            request.contains("\r\naccept: application/json\r\n"),
            "{request}"
        );
        assert!(
            request.contains("\r\naccept-encoding: identity\r\n"),
            "{request}"
        );
        for word in ["gzip", "cookie", "authorization", "referer"] {
            assert!(!request.contains(word), "{request}");
        }
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_and_an_address_may_be_listed() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["127.0.0.1"], &[&version::TLS12]);
    let server = Server::serve(Some(acceptor), ok("", KEYS)).await;
    let http = JwksHttp::new(options(&authority, &["127.0.0.1"])).unwrap();
    let fetched = http.fetch(&server.url("127.0.0.1")).await.unwrap();
    assert_eq!(fetched.body, KEYS);
}

#[tokio::test]
async fn a_server_inside_is_never_contacted_unless_it_is_listed() {
    let authority = Authority::new();
    let server = Server::start(&authority, ok("", KEYS)).await;
    // Nothing is listed; another host is; the name is, but not with a dot, nor the address.
    for listed in [&[] as &[&str], &["keys.example"], &["localhost"]] {
        let http = JwksHttp::new(options(&authority, listed)).unwrap();
        let all = [
            "localhost",
            "localhost.",
            "127.0.0.1",
            "0x7f.1",
            "[::ffff:127.0.0.1]",
        ];
        for host in all.iter().filter(|host| !listed.contains(host)) {
            let result = http.fetch(&server.url(host)).await;
            assert_told(result, PortKind::Permanent, "not among the private hosts");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn without_tls_there_is_nothing() {
    let authority = Authority::new();
    let http = JwksHttp::new(options(&authority, &["localhost"])).unwrap();
    let server = Server::serve(None, ok("", KEYS)).await;
    // The scheme says so: not even tried.
    let plain = server.url("localhost").replace("https://", "http://");
    let result = http.fetch(&plain).await;
    assert_told(result, PortKind::Permanent, "https://");
    assert_eq!(server.connections(), 0);
    // The scheme says otherwise: no request goes out.
    told(
        http.fetch(&server.url("localhost")).await,
        PortKind::Permanent,
    );
    assert!(server.connections() > 0);
    assert!(server.requests().iter().all(|heard| !heard.contains("GET")));
}

#[tokio::test]
async fn a_server_that_cannot_show_who_it_is_hears_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let http = JwksHttp::new(options(&authority, &["localhost"])).unwrap();
    // Signed by whom we do not know.
    let server = Server::start(&other, ok("", KEYS)).await;
    let result = http.fetch(&server.url("localhost")).await;
    assert_told(result, PortKind::Permanent, "certificate");
    assert!(server.requests().is_empty());
    // Signed for another host.
    let acceptor = authority.acceptor(&["keys.example"], &[&version::TLS13]);
    let server = Server::serve(Some(acceptor), ok("", KEYS)).await;
    let result = http.fetch(&server.url("localhost")).await;
    assert_told(result, PortKind::Permanent, "certificate");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let authority = Authority::new();
    let target = Server::start(&authority, ok("", KEYS)).await;
    for code in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}\r\n", target.url("localhost"));
        let server = Server::start(&authority, status(code, &location)).await;
        let http = JwksHttp::new(options(&authority, &["localhost"])).unwrap();
        let result = http.fetch(&server.url("localhost")).await;
        assert_told(result, PortKind::Permanent, "redirects");
        assert_eq!(server.connections(), 1);
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_a_larger_one_is_not() {
    let fetched = fetch(ok("", &vec![b' '; MOST])).await.unwrap();
    assert_eq!(fetched.body.len(), MOST);

    // The header says so, and the body never comes.
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", MOST + 1);
    let result = fetch(Answer::Stalled(head.into_bytes())).await;
    assert_told(result, PortKind::Permanent, "64 KiB");
    // No header says so, and it never ends.
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let result = fetch(Answer::Endless(head.to_vec())).await;
    assert_told(result, PortKind::Permanent, "64 KiB");
    // Neither a length nor chunks: the end of the connection would be the end.
    let mut bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    bytes.extend(vec![b' '; MOST + 1]);
    let result = fetch(Answer::Whole(bytes)).await;
    assert_told(result, PortKind::Permanent, "64 KiB");
}

#[tokio::test]
async fn what_is_slow_is_given_up() {
    for start in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"keys\"",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let authority = Authority::new();
        let server = Server::start(&authority, Answer::Stalled(start.into())).await;
        let short = JwksHttpOptions {
            timeout: Duration::from_millis(300),
            ..options(&authority, &["localhost"])
        };
        let http = JwksHttp::new(short).unwrap();
        let result = http.fetch(&server.url("localhost")).await;
        assert_told(result, PortKind::Transient, "too long");
    }
}

#[tokio::test]
async fn statuses_that_may_pass_are_transient_and_others_are_not() {
    for code in [408, 425, 429, 500, 502, 503, 504, 599] {
        let result = fetch(status(code, "")).await;
        assert_told(result, PortKind::Transient, &code.to_string());
    }
    for code in [201, 203, 204, 206, 304, 400, 401, 403, 404, 406, 410] {
        let result = fetch(status(code, "")).await;
        assert_told(result, PortKind::Permanent, &code.to_string());
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused() {
    let result = fetch(ok("Content-Encoding: gzip\r\n", b"\x1f\x8b")).await;
    assert_told(result, PortKind::Permanent, "encoded");
}

#[tokio::test]
async fn trouble_on_the_way_is_transient() {
    // Cut off in the middle.
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"keys\"";
    told(
        fetch(Answer::Whole(cut.to_vec())).await,
        PortKind::Transient,
    );
    // Before the beginning.
    told(fetch(Answer::Whole(Vec::new())).await, PortKind::Transient);
    // Nobody listens.
    let authority = Authority::new();
    let http = JwksHttp::new(options(&authority, &["localhost"])).unwrap();
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("https://localhost:{nobody}/tenant/jwks?token=hush");
    told(http.fetch(&url).await, PortKind::Transient);
}

#[tokio::test]
async fn an_error_names_the_host_alone() {
    let authority = Authority::new();
    let http = JwksHttp::new(options(&authority, &[])).unwrap();
    let error = http.fetch("https://10.0.0.1/tenant?token=hush").await;
    assert_eq!(
        error.unwrap_err().action,
        "fetching the key set at 10.0.0.1"
    );
    for nonsense in ["tenant?token=hush", "https://:hush@/", "https://[hush]/"] {
        told(http.fetch(nonsense).await, PortKind::Permanent);
    }
}

#[test]
fn wrong_options_are_told_at_the_start() {
    let authority = Authority::new();
    let wrong = options(&authority, &["https://localhost"]);
    let error = JwksHttp::new(wrong).err().unwrap();
    assert!(matches!(error, JwksHttpError::PrivateHost(_)), "{error}");
    let wrong = JwksHttpOptions {
        extra_roots_pem: Some(b"certificate".to_vec()),
        ..options(&authority, &[])
    };
    let error = JwksHttp::new(wrong).err().unwrap();
    assert!(matches!(error, JwksHttpError::NoCertificate), "{error}");
}
