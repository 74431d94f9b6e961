//! A real gateway on a loopback socket, started once and kept for the life of the process.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sluice_auth::{KeySecret, Registration};
use sluice_engine::{
    AccessOptions, Audit, Authorization, Clients, Duplicates, Metrics, Policy, PollLimits, Ports,
    Tenant, TenantAccess, Tenants, Tokens,
};
use sluice_gateway::{Gateway, GatewaySettings, Limits, LinkKey};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_ports::{Clock, FetchedKeys, KeyFetch, PortError, PortKind};
use sluice_runtime::ServerSection;
use sluice_testkit::{Forger, ManualClock, SeededEntropy, SmallSource};
use tokio_util::sync::CancellationToken;

/// Where clients reach the gateway, as far as its settings say.
pub(crate) const PUBLIC: &str = "https://bulk.example.org";
/// Where nobody ever should be led.
pub(crate) const EVIL: &str = "evil.example";
const TOKEN_PATH: &str = "/default/oauth2/token";
const FORM: &str = "application/x-www-form-urlencoded";

/// Where the gateway is, and what a client has.
pub(crate) struct Site {
    address: SocketAddr,
    /// A good access token.
    pub(crate) token: String,
    /// A token request that is good at the token endpoint of [`EVIL`].
    pub(crate) foreign: String,
}

/// The one of this process.
pub(crate) static SITE: LazyLock<Site> = LazyLock::new(start);

/// Keys are registered, never fetched.
struct NoFetch;

#[async_trait]
impl KeyFetch for NoFetch {
    async fn fetch(&self, _: &str) -> Result<FetchedKeys, PortError> {
        Err(PortError::new(PortKind::Permanent, "fetching a key set"))
    }
}

#[expect(
    clippy::expect_used,
    reason = "without a gateway there is nothing to fuzz"
)]
fn start() -> Site {
    let key = Forger::es384();
    let clock = Arc::new(ManualClock::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let gateway = gateway(clock.clone(), &key.jwks("k"));
    // Never stopped: it ends with the process.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(sluice_gateway::run(
            gateway,
            listener,
            CancellationToken::new(),
        ))
    });
    let now = clock.now().millis() / 1000;
    let form = |base: &str, jti: &str| {
        let header = json!({ "alg": "ES384", "kid": "k", "typ": "JWT" });
        let audience = format!("{base}{TOKEN_PATH}");
        let claims = json!({
            "iss": "owner", "sub": "owner", "aud": audience, "exp": now + 240, "jti": jti,
        });
        let assertion = key.sign(&header, &claims);
        format!(
            "grant_type=client_credentials&scope=system/*.rs&client_assertion_type=\
             urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion={assertion}"
        )
    };
    let mut site = Site {
        address,
        token: String::new(),
        foreign: form(&format!("https://{EVIL}"), "b"),
    };
    let got = site.ask(token_request(&form(PUBLIC, "a")).as_bytes());
    let body = got.split("\r\n\r\n").nth(1).unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let token = body["access_token"].as_str().expect("a token");
    token.clone_into(&mut site.token);
    site
}

fn token_request(form: &str) -> String {
    let length = form.len();
    format!(
        "POST {TOKEN_PATH} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: {FORM}\r\n\
         Content-Length: {length}\r\n\r\n{form}"
    )
}

#[expect(
    clippy::expect_used,
    reason = "without a gateway there is nothing to fuzz"
)]
fn gateway(clock: Arc<ManualClock>, keys: &Value) -> Gateway {
    let ports = Ports {
        blobs: Arc::new(MemoryBlobs::default()),
        index: Arc::new(MemoryIndex::new(clock.clone())),
        queue: Arc::new(MemoryQueue::default()),
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        metrics: Metrics::default(),
    };
    let owner = json!({ "scopes": ["system/*.rs"], "jwks": keys });
    let owner: Registration = serde_json::from_value(owner).expect("a registration");
    let client = "owner".parse().expect("a client's id");
    let access = TenantAccess {
        clients: [(client, owner)].into(),
        ..TenantAccess::default()
    };
    let tenant = Tenant {
        source: Arc::new(SmallSource::of(3, 3)),
        // However often it is asked for, there is one export, and one answer.
        policy: Policy {
            duplicates: Duplicates::Join,
            ..Policy::default()
        },
        access: Arc::new(access),
    };
    let id = "default".parse().expect("a tenant's id");
    let tenants: Tenants = [(id, tenant)].into_iter().collect();
    let options = AccessOptions {
        public_url: PUBLIC.to_owned(),
        secrets: vec![KeySecret::new([7; 32]).expect("a long secret")],
        key_period: Duration::from_hours(24),
        token_life: Duration::from_mins(5),
        fetch: Arc::new(NoFetch),
    };
    let clients = Clients::new(&ports, &tenants);
    let tokens = Tokens::new(&ports, &clients, &options);
    let settings = GatewaySettings {
        public_url: PUBLIC.to_owned(),
        link_life: Duration::from_mins(10),
        max_body: 2_000,
        limits: Limits::of(&ServerSection::default()),
        tls: None,
        polls: PollLimits::default(),
        drain: Duration::ZERO,
    };
    let authorization = Authorization::On(Box::new(tokens));
    Gateway::new(
        &ports,
        &tenants,
        (authorization, &Audit::new(&ports, 1_000_000)),
        LinkKey([5; 32]),
        settings,
    )
}

impl Site {
    /// Sends one request, which must have `Connection: close`, and reads until the other side closes.
    #[expect(
        clippy::expect_used,
        reason = "a gateway that does not answer is a finding"
    )]
    pub(crate) fn ask(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        // Far longer than any answer takes, so that waiting in vain ends.
        let limit = Some(Duration::from_mins(1));
        stream.set_read_timeout(limit).expect("a limit");
        stream.write_all(request).expect("sending");
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        String::from_utf8(answer).expect("answers are UTF-8")
    }
}
