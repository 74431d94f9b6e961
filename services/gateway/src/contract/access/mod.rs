//! Authorization: who gets a token, what it opens, and that nothing of it is told to others.

mod assertions;
mod audit;
mod bearer;
mod discovery;
mod external;
mod files;
mod limits;
mod log;
mod matrix;
mod presets;
mod rotation;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use async_trait::async_trait;
use serde_json::{Value, json};
use sluice_auth::{KeySecret, Registration};
use sluice_engine::{AccessOptions, Authorization, Clients, Policy, TenantAccess, Tokens};
use sluice_ports::{FetchedKeys, KeyFetch, PortError, PortKind};
use sluice_testkit::{Faults, Forger};

use super::{Got, PUBLIC, Site};

/// Where tokens of the first tenant come from.
const TOKEN_URL: &str = "https://bulk.example.org/default/oauth2/token";
const TOKEN_PATH: &str = "/default/oauth2/token";
/// Key sets that are fetched.
const JWKS_URL: &str = "https://client.example.org/jwks.json";
const ISSUER_JWKS_URL: &str = "https://idp.example.org/jwks.json";

/// Made once, for it takes a while.
static RSA: LazyLock<Forger> = LazyLock::new(Forger::rs384);

/// Key sets by their URL, and how often each was fetched.
#[derive(Default)]
struct FixedKeys {
    sets: Mutex<HashMap<String, FetchedKeys>>,
    fetches: AtomicU64,
}

impl FixedKeys {
    fn publish(&self, url: &str, jwks: &Value, life: Option<Duration>) {
        let fetched = FetchedKeys {
            body: jwks.to_string().into(),
            life,
        };
        self.sets.lock().unwrap().insert(url.to_owned(), fetched);
    }

    fn withdraw(&self, url: &str) {
        self.sets.lock().unwrap().remove(url);
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyFetch for FixedKeys {
    async fn fetch(&self, url: &str) -> Result<FetchedKeys, PortError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let found = self.sets.lock().unwrap().get(url).cloned();
        found.ok_or_else(|| PortError::new(PortKind::Transient, "fetching a key set"))
    }
}

/// A site whose clients must show who they are.
pub(super) struct Secured {
    pub(super) site: Site,
    keys: Arc<FixedKeys>,
    clients: Clients,
    /// Of `owner`, as `ec` and `rsa`.
    ec: Forger,
    rsa: &'static Forger,
    /// Of `stranger`, `narrow`, `grouped`, `off` and, at the other tenant, `owner`.
    others: Forger,
    /// Of `published`, at [`JWKS_URL`].
    published: Forger,
    serial: AtomicU64,
}

fn registration(more: &Value) -> Registration {
    let mut all = json!({ "scopes": ["system/*.rs"] });
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

fn clients(list: &[(&str, Value)]) -> TenantAccess {
    let each = list.iter();
    TenantAccess {
        clients: each
            .map(|(id, more)| (id.parse().unwrap(), registration(more)))
            .collect(),
        ..TenantAccess::default()
    }
}

fn secret() -> KeySecret {
    KeySecret::new([7; 32]).unwrap()
}

impl Secured {
    pub(super) fn new() -> Self {
        Self::with(&Faults::default(), |_| {})
    }

    fn with(faults: &Faults, change: impl FnOnce(&mut TenantAccess)) -> Self {
        let [ec, others, published] = [(); 3].map(|()| Forger::es384());
        let rsa = &*RSA;
        let both = json!({ "keys": [ec.jwk("ec"), rsa.jwk("rsa")] });
        let theirs = others.jwks("k");
        let mut first = clients(&[
            ("owner", json!({ "jwks": both })),
            ("stranger", json!({ "jwks": theirs })),
            (
                "narrow",
                json!({ "jwks": theirs, "scopes": ["system/Patient.rs"] }),
            ),
            ("grouped", json!({ "jwks": theirs, "groups": ["some"] })),
            ("off", json!({ "jwks": theirs, "enabled": false })),
            ("published", json!({ "jwks_url": JWKS_URL })),
            ("elsewhere", json!({ "scopes": ["system/Patient.rs"] })),
        ]);
        change(&mut first);
        let second = clients(&[("owner", json!({ "jwks": theirs }))]);
        let keys = Arc::new(FixedKeys::default());
        keys.publish(JWKS_URL, &published.jwks("p"), None);
        let mut registry = None;
        let tenants = [("default", first), ("other", second)];
        let site = Site::assembled(faults, Policy::default(), &tenants, |ports, tenants| {
            let options = AccessOptions {
                public_url: PUBLIC.to_owned(),
                secrets: vec![secret()],
                key_period: Duration::from_hours(24),
                token_life: Duration::from_mins(5),
                fetch: keys.clone(),
            };
            let clients = registry.insert(Clients::new(ports, tenants));
            Authorization::On(Box::new(Tokens::new(ports, clients, &options)))
        });
        Self {
            site,
            clients: registry.unwrap(),
            keys,
            ec,
            rsa,
            others,
            published,
            serial: AtomicU64::new(0),
        }
    }

    fn now(&self) -> i64 {
        self.site.ports.clock.now().millis() / 1000
    }

    /// A name that no other assertion has.
    fn jti(&self) -> String {
        format!("jti-{}", self.serial.fetch_add(1, Ordering::SeqCst))
    }

    /// What a good assertion of a client says.
    fn claims(&self, client: &str) -> Value {
        json!({
            "iss": client, "sub": client, "aud": TOKEN_URL, "exp": self.now() + 240, "jti": self.jti(),
        })
    }

    /// A good assertion of a client at a tenant.
    fn assertion(&self, tenant: &str, client: &str) -> String {
        let mut claims = self.claims(client);
        claims["aud"] = json!(TOKEN_URL.replace("default", tenant));
        let (key, kid) = match (tenant, client) {
            ("default", "owner") => (&self.ec, "ec"),
            (_, "published") => (&self.published, "p"),
            _ => (&self.others, "k"),
        };
        key.sign(
            &json!({ "alg": "ES384", "kid": kid, "typ": "JWT" }),
            &claims,
        )
    }

    /// Asks for a token with this form.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Got {
        let request = TestRequest::post().uri(path).set_form(form);
        self.site.send(request).await
    }

    /// Asks for a token with this assertion.
    async fn ask(&self, assertion: &str) -> Got {
        self.post(TOKEN_PATH, &form(assertion, "system/*.rs")).await
    }

    /// A token of a client.
    async fn token(&self, tenant: &str, client: &str, scope: &str) -> String {
        let assertion = self.assertion(tenant, client);
        let path = TOKEN_PATH.replace("default", tenant);
        let got = self.post(&path, &form(&assertion, scope)).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.json());
        got.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Any request, with a token or without.
    async fn send(&self, request: TestRequest, token: Option<&str>) -> Got {
        let request = match token {
            Some(token) => {
                request.insert_header((header::AUTHORIZATION, format!("Bearer {token}")))
            }
            None => request,
        };
        self.site.send(request).await
    }

    async fn get(&self, url: &str, token: &str) -> Got {
        let request = TestRequest::get().uri(super::local(url));
        self.send(request, Some(token)).await
    }

    /// Exports as `owner` and answers the status URL and the manifest.
    async fn export(&self, path: &str, token: &str) -> (String, Value) {
        let started = self.get(path, token).await;
        assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.json());
        let status = started.header("content-location").to_owned();
        loop {
            let got = self.get(&status, token).await;
            if got.status == StatusCode::OK {
                return (status, got.json());
            }
            assert_eq!(got.status, StatusCode::ACCEPTED);
            self.site.clock.pass(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn form<'a>(assertion: &'a str, scope: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("scope", scope),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
    ]
}
