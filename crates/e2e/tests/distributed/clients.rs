//! Clients of a site whose keys a test holds, and what they send and hear.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use sluice_local::SystemClock;
use sluice_ports::Clock;
use sluice_testkit::Forger;

use crate::site::{Site, curl};

/// What all gateways of a test share.
pub(crate) const AUTH_SECRET: &str = "what the gateways of a test share, and nobody else";
/// What opens the admin ports of a test.
pub(crate) const ADMIN_SECRET: &str = "what opens the admin ports of a test, and nothing else";

/// A client that makes its own assertions.
pub(crate) struct Registered {
    pub(crate) id: &'static str,
    key: Forger,
    made: AtomicU32,
}

impl Registered {
    pub(crate) fn new(id: &'static str) -> Self {
        Self {
            id,
            key: Forger::es384(),
            made: AtomicU32::new(0),
        }
    }

    /// As an administrator registers it.
    pub(crate) fn registration(&self, scopes: &[&str]) -> Value {
        json!({ "scopes": scopes, "jwks": self.key.jwks(self.id) })
    }

    /// An assertion of its own name for the token endpoint of this URL.
    pub(crate) fn assertion(&self, audience: &str) -> String {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        self.assertion_named(audience, &format!("assertion-{number}"))
    }

    /// The same with a name that the test gives it.
    pub(crate) fn assertion_named(&self, audience: &str, jti: &str) -> String {
        let claims = json!({
            "iss": self.id, "sub": self.id, "aud": audience, "exp": now() + 240, "jti": jti,
        });
        let header = json!({ "alg": "ES384", "typ": "JWT", "kid": self.id });
        self.sign(&header, &claims)
    }

    /// Whatever is said and claimed.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.key.sign(header, claims)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock.now().millis().div_euclid(1000)
}

/// Puts authorization on, with these clients of a tenant.
pub(crate) fn authorize(site: &mut Site, tenant: &str, clients: &[(&str, Value)]) {
    site.set("SLUICE_SERVER__AUTHORIZATION", "on");
    site.set("SLUICE_AUTH__SECRET", AUTH_SECRET);
    site.set("SLUICE_ADMIN__SECRET", ADMIN_SECRET);
    let declared: Vec<String> = clients.iter().map(declared).collect();
    let name = format!("SLUICE_TENANTS__{}__CLIENTS", tenant.to_uppercase());
    site.set(&name, &format!("{{ {} }}", declared.join(", ")));
}

/// A client in the words of the settings: JSON is no TOML.
fn declared((id, registration): &(&str, Value)) -> String {
    let (scopes, jwks) = (&registration["scopes"], &registration["jwks"]);
    let groups = registration.get("groups");
    let groups = groups.map_or_else(String::new, |groups| format!(", groups = {groups}"));
    format!("{id} = {{ scopes = {scopes}, jwks = '{jwks}'{groups} }}")
}

/// What a client heard.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The body; `null` if it is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// All of it.
    pub(crate) fn whole(&self) -> String {
        format!("{}\n\n{}", self.head, self.body)
    }
}

/// Asks by curl.
pub(crate) fn ask(words: &[&str]) -> Answer {
    let mut all = vec!["-s", "-i"];
    all.extend(words);
    let text = curl(&all);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1);
    Answer {
        status: status
            .and_then(|status| status.parse().ok())
            .unwrap_or_default(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// The body of a token request for everything.
pub(crate) fn form(assertion: &str) -> String {
    format!(
        "grant_type=client_credentials&scope=system%2F*.rs&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion={assertion}"
    )
}

/// Asks a token endpoint for a token.
pub(crate) fn ask_token(url: &str, assertion: &str) -> Answer {
    ask(&["-d", &form(assertion), url])
}

/// Asks with a token.
pub(crate) fn ask_with(token: &str, words: &[&str]) -> Answer {
    let header = bearer(token);
    let mut all = vec!["-H", header.as_str()];
    all.extend(words);
    ask(&all)
}

/// The header in which a token goes.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}
