//! Headers by which proxies and attackers say where a server is: none changes what a gateway answers.

use std::sync::LazyLock;

use crate::parts::text;
use crate::site::{EVIL, PUBLIC, SITE};

/// Cuts an input into headers; it may stand in none.
const CUT: u8 = 0x1e;

/// With the few that a request has anyway, as many headers as actix reads, or a little less.
const MOST_LINES: usize = 90;

/// What is asked for; the first byte of an input chooses.
const PATHS: [&str; 8] = [
    "/default/fhir/Patient/$export",
    "/default/fhir/.well-known/smart-configuration",
    "/default/fhir/metadata",
    "/default/fhir/Group",
    "/default/fhir/OperationDefinition/export",
    "/default/oauth2/jwks",
    "/default/oauth2/token",
    "/default/fhir/nothing",
];

/// What is said; the first byte of each part chooses. `T` is no header but the target's own host.
const NAMES: [(u8, &str); 18] = [
    (b'H', "Host"),
    (b'h', "X-Forwarded-Host"),
    (b'p', "X-Forwarded-Proto"),
    (b'P', "X-Forwarded-Port"),
    (b'x', "X-Forwarded-Prefix"),
    (b'f', "X-Forwarded-For"),
    (b's', "X-Forwarded-Server"),
    (b'S', "X-Forwarded-Scheme"),
    (b'F', "Forwarded"),
    (b'u', "X-Original-URL"),
    (b'w', "X-Rewrite-URL"),
    (b'o', "X-Original-Host"),
    (b'i', "X-Real-IP"),
    (b'v', "Via"),
    (b'O', "Origin"),
    (b'R', "Referer"),
    (b'I', "X-Request-Id"),
    (b'm', "X-HTTP-Method-Override"),
];

/// Documents that are named in answers and lie elsewhere.
const ELSEWHERE: [&str; 3] = [
    "http://hl7.org/",
    "http://terminology.hl7.org/",
    "http://fhir-registry.smarthealthit.org/",
];

/// What each path is answered when nothing odd is said.
static USUAL: LazyLock<[String; PATHS.len()]> = LazyLock::new(|| {
    let asked = std::array::from_fn(|at| at);
    asked.map(|at| {
        let answer = SITE.ask(&Said::default().request(at));
        let (head, body) = cut(&answer);
        leads_nowhere_else(head);
        leads_nowhere_else(body);
        same_for_all(head, body)
    })
});

/// Takes the input as a choice of what to ask for, and headers with values of any bytes.
///
/// # Panics
///
/// When the answer is another than without these headers.
pub fn hosts(data: &[u8]) {
    let (at, said) = data.split_first().unwrap_or((&b'0', &[]));
    let at = usize::from(*at) % PATHS.len();
    let said = Said::read(said);
    let answer = SITE.ask(&said.request(at));
    // A head that is none is refused, by the parser, in its own words.
    let (head, body) = cut(&answer);
    assert!(!head.contains(EVIL) && !body.contains(EVIL), "{answer}");
    leads_nowhere_else(head);
    leads_nowhere_else(body);
    has_one_request_id(head);
    let refusals = ["HTTP/1.1 400 ", "HTTP/1.1 431 "];
    let refused = refusals.iter().any(|status| head.starts_with(status)) && body.is_empty();
    assert!(
        !refused || said.may_be_refused,
        "refused: {}",
        text(&said.headers)
    );
    let answer = same_for_all(head, body);
    assert!(
        refused || answer == USUAL[at],
        "{answer} and not {}",
        USUAL[at]
    );
}

/// What is said by a client or a proxy.
#[derive(Default)]
struct Said {
    /// Begins the target.
    authority: String,
    headers: Vec<u8>,
    hosts: usize,
    lines: usize,
    may_be_refused: bool,
}

impl Said {
    fn read(said: &[u8]) -> Self {
        let mut read = Self::default();
        for part in said.split(|byte| *byte == CUT) {
            match part.split_first() {
                Some((b'T', value)) => read.authority = host(value),
                Some((letter, value)) => read.header(*letter, value),
                None => {}
            }
        }
        read.may_be_refused |= !read.authority.is_empty();
        read
    }

    fn header(&mut self, letter: u8, value: &[u8]) {
        let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == letter) else {
            return;
        };
        if *name == "Host" {
            self.hosts += 1;
            // RFC 9112 section 3.2: no more than one, and a proper one.
            self.may_be_refused |= self.hosts > 1 || !value.iter().all(|byte| is_plain(*byte));
        }
        self.may_be_refused |= value.iter().any(|byte| is_odd(*byte));
        self.lines += value.split(|byte| *byte == b'\n').count();
        self.may_be_refused |= self.lines > MOST_LINES;
        self.headers
            .extend_from_slice(format!("{name}: ").as_bytes());
        self.headers.extend(unbroken(value));
        self.headers.extend_from_slice(b"\r\n");
    }

    /// The request that says all this.
    fn request(&self, at: usize) -> Vec<u8> {
        let (path, authority) = (PATHS[at], &self.authority);
        let asks_for_token = path.ends_with("/token");
        let (method, body) = if asks_for_token {
            ("POST", SITE.foreign.as_str())
        } else {
            ("GET", "")
        };
        let more = if asks_for_token {
            format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}",
                body.len()
            )
        } else {
            format!("Authorization: Bearer {}", SITE.token)
        };
        let host = if self.hosts == 0 {
            "Host: bulk.example.org\r\n"
        } else {
            ""
        };
        let head =
            format!("{method} {authority}{path} HTTP/1.1\r\nConnection: close\r\n{more}\r\n{host}");
        [head.as_bytes(), &self.headers, b"\r\n", body.as_bytes()].concat()
    }
}

/// The absolute form of a target (RFC 9112 section 3.2.2), without what would end its host.
fn host(value: &[u8]) -> String {
    let value = text(value);
    let fits = |letter: &char| letter.is_ascii_graphic() && !"/?#".contains(*letter);
    let host: String = value.chars().filter(fits).collect();
    if host.is_empty() {
        return host;
    }
    format!("http://{host}")
}

/// Bytes of which names and addresses are made.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte)
}

/// Bytes that no value may have, so that the whole head is refused.
fn is_odd(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

/// Whoever may send a line feed may send more headers; here all of these have odd names, and none
/// ends the head, for then the rest would be another request.
fn unbroken(value: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').collect();
    lines.join(&b"\nX-"[..])
}

/// Head and body of an answer.
fn cut(answer: &str) -> (&str, &str) {
    let cut = answer.split_once("\r\n\r\n");
    assert!(cut.is_some(), "not a whole answer: {answer:?}");
    cut.unwrap_or_default()
}

/// An answer without what differs each time.
fn same_for_all(head: &str, body: &str) -> String {
    let differs = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("date:") || line.starts_with("x-request-id:")
    };
    let mut lines: Vec<&str> = head.split("\r\n").filter(|line| !differs(line)).collect();
    // actix gives headers in no order.
    lines.sort_unstable();
    format!("{}\n\n{body}", lines.join("\n"))
}

/// Each URL must be one of the server's own, as configured, or that of a document of HL7's.
fn leads_nowhere_else(answer: &str) {
    let lower = answer.to_ascii_lowercase();
    for (at, _) in lower.match_indices("://") {
        let scheme = lower[..at].rfind(|letter: char| !letter.is_ascii_alphanumeric());
        let url = &lower[scheme.map_or(0, |at| at + 1)..];
        let rest = url.strip_prefix(PUBLIC);
        let ours = rest.is_some_and(|rest| rest.starts_with('/') || rest.starts_with('"'));
        let theirs = ELSEWHERE.iter().any(|known| url.starts_with(known));
        assert!(ours || theirs, "leads to {}", &url[..url.len().min(80)]);
    }
}

/// The one value that is repeated must be one that cannot hurt.
fn has_one_request_id(head: &str) {
    let lines = head.split("\r\n");
    let mut ids = lines.filter_map(|line| line.strip_prefix("x-request-id: "));
    let safe = |id: &str| {
        id.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    assert!(
        ids.next().is_none_or(safe) && ids.next().is_none(),
        "{head}"
    );
}
