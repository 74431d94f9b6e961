//! How much a client may send, and how long it may take.

use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use futures::FutureExt;
use serde_json::json;
use sluice_runtime::ServerSection;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::live::{ASK, Live, answer, ask, rest, soon};
use super::{EXPORT, Site, parameters};
use crate::Limits;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any test.
const NEVER: Duration = Duration::from_hours(1);

#[test]
fn every_limit_is_what_its_setting_says() {
    let number = |number| NonZeroU32::new(number).unwrap();
    let limits = Limits::of(&ServerSection {
        max_header_kib: number(1),
        max_parameters: number(2),
        header_seconds: number(3),
        body_seconds: number(4),
        idle_seconds: number(5),
        max_connections: number(6),
        ..ServerSection::default()
    });
    assert_eq!((limits.head, limits.parameters), (1024, 2));
    let times = [limits.head_time, limits.body_time, limits.idle_time];
    assert_eq!(times, [3, 4, 5].map(Duration::from_secs));
    assert_eq!(limits.connections, 6);
}

#[actix_web::test]
async fn a_head_may_be_so_long_and_no_longer() {
    let site = Site::set(|settings| settings.limits.head = 1_000);
    let with = |header: usize, query: usize| {
        let uri = format!("{EXPORT}?_since={}", "x".repeat(query));
        let request = TestRequest::get().uri(&uri);
        request.insert_header(("X-Long", "x".repeat(header)))
    };
    let fits = site.send(with(450, 450)).await;
    assert_eq!(fits.issue(), "invalid", "it is looked at");
    for (header, query) in [(1_000, 0), (500, 500)] {
        let got = site.send(with(header, query)).await;
        assert_eq!(
            (got.status, got.issue().as_str()),
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too-long")
        );
    }
    let got = site.send(with(0, 1_000)).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::URI_TOO_LONG, "too-long")
    );
    let nowhere = TestRequest::get().uri("/nowhere");
    let nowhere = nowhere.insert_header(("X-Long", "x".repeat(1_000)));
    let got = site.send(nowhere).await;
    assert_eq!(got.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[actix_web::test]
async fn a_kickoff_may_have_so_many_parameters_and_no_more() {
    let site = Site::set(|settings| settings.limits.parameters = 3);
    let patients = |many: usize| {
        let patient = |id| json!({ "name": "patient", "valueReference": { "reference": format!("Patient/{id}") } });
        parameters(&(0..many).map(patient).collect())
    };
    let asked = format!("{EXPORT}?_type=Patient");
    assert_eq!(site.get(&asked).await.status, StatusCode::ACCEPTED);
    let got = site.post(&asked, &patients(2)).await;
    assert_ne!(got.issue(), "too-long");
    for got in [
        site.post(&asked, &patients(3)).await,
        site.post(EXPORT, &patients(4)).await,
        site.get(&format!("{EXPORT}?a=1&b=2&c=3&d=4")).await,
    ] {
        assert_eq!(
            (got.status, got.issue().as_str()),
            (StatusCode::BAD_REQUEST, "too-long")
        );
    }
}

#[actix_web::test]
async fn a_body_that_would_have_to_be_unpacked_is_refused() {
    let site = Site::quiet();
    let with = |codings: &[&'static str]| {
        let mut request = TestRequest::post().uri(EXPORT);
        for coding in codings {
            request = request.append_header((header::CONTENT_ENCODING, *coding));
        }
        let kind = (header::CONTENT_TYPE, "application/fhir+json");
        let body = parameters(&json!([])).to_string();
        site.send(request.insert_header(kind).set_payload(body))
    };
    for codings in [
        &["gzip"][..],
        &["br"],
        &["identity, gzip"],
        &["identity", "zstd"],
    ] {
        let got = with(codings).await;
        assert_eq!(
            (got.status, got.issue().as_str()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported"),
            "{codings:?}"
        );
        assert_eq!(got.header("accept-encoding"), "identity");
    }
    assert_eq!(with(&["Identity"]).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn browsers_are_told_of_tls_where_there_is_tls() {
    let path = "/default/fhir/metadata";
    let site = Site::quiet();
    for got in [site.get(path).await, site.get("/nowhere").await] {
        let told = got.header("strict-transport-security");
        assert_eq!(told, "max-age=31536000");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
    }
    let plain = Site::set(|settings| settings.public_url = "http://localhost".to_owned());
    let got = plain.get(path).await;
    assert_eq!(got.header("strict-transport-security"), "");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_given_up() {
    let live = Live::start(|settings| {
        settings.limits.body_time = SECOND * 3;
        // A request that is being answered is under neither of these.
        settings.limits.head_time = SECOND;
        settings.limits.idle_time = SECOND;
    });
    let mut slow = live.connect().await;
    let head = format!(
        "POST {EXPORT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/fhir+json\r\n\
         Content-Length: 500\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let told = answer(&mut slow).await;
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
    assert!(told.contains("\"timeout\""), "{told}");
    rest(&mut slow).await;
}

/// Two connections, of which only the second is to be closed: the first was there before it, and
/// would go first if both were under the same limit.
async fn only_the_second_ends(first: &mut TcpStream, second: &mut TcpStream) {
    rest(second).await;
    let mut byte = [0];
    let open = first.try_read(&mut byte).unwrap_err();
    assert_eq!(open.kind(), std::io::ErrorKind::WouldBlock);
}

#[actix_web::test]
async fn a_head_that_does_not_come_is_given_up() {
    let patient = Live::start(|settings| settings.limits.head_time = NEVER);
    let strict = Live::start(|settings| settings.limits.head_time = SECOND);
    let (mut first, mut second) = (patient.connect().await, strict.connect().await);
    for slow in [&mut first, &mut second] {
        slow.write_all(&ASK.as_bytes()[..20]).await.unwrap();
    }
    only_the_second_ends(&mut first, &mut second).await;
}

/// Once it has been answered, too.
#[actix_web::test]
async fn a_later_head_that_does_not_come_is_given_up() {
    let start = |time| {
        Live::start(|settings| {
            settings.limits.head_time = time;
            settings.limits.idle_time = time;
        })
    };
    let (patient, strict) = (start(NEVER), start(SECOND));
    let (mut first, mut second) = (patient.connect().await, strict.connect().await);
    for slow in [&mut first, &mut second] {
        assert!(ask(slow).await.starts_with("HTTP/1.1 200"));
        slow.write_all(&ASK.as_bytes()[..20]).await.unwrap();
    }
    only_the_second_ends(&mut first, &mut second).await;
}

#[actix_web::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let patient = Live::start(|settings| settings.limits.idle_time = NEVER);
    let strict = Live::start(|settings| settings.limits.idle_time = SECOND);
    let (mut first, mut second) = (patient.connect().await, strict.connect().await);
    for idle in [&mut first, &mut second] {
        assert!(ask(idle).await.starts_with("HTTP/1.1 200"));
    }
    only_the_second_ends(&mut first, &mut second).await;
}

/// Of many connections only so many are served; as these end, the others are.
#[actix_web::test]
async fn connections_beyond_the_limit_wait_for_others_to_end() {
    let live = Live::start(|settings| {
        settings.limits.connections = 1;
        settings.limits.idle_time = NEVER;
        settings.limits.head_time = NEVER;
    });
    let processors = std::thread::available_parallelism().unwrap().get();
    // actix lets one more in than it is told.
    let most = processors * 2;
    let mut waiting = Vec::new();
    for _ in 0..most * 2 {
        let mut stream = live.connect().await;
        stream.write_all(ASK.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    while !waiting.is_empty() {
        tokio::time::sleep(SECOND / 4).await;
        let (mut served, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_answered);
        assert!(served.len() <= most, "{} are served", served.len());
        waiting = others;
        for stream in &mut served {
            soon(answer(stream)).await;
        }
    }
}

fn is_answered(stream: &TcpStream) -> bool {
    stream.peek(&mut [0]).now_or_never().is_some()
}
