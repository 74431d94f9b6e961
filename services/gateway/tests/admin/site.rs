//! An admin port over everything in memory, and what is asked of it.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use serde_json::{Value, json};
use sluice_engine::{Clients, DeclaredClients, Metrics, Policy, Ports, Tenant, Tenants};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_ports::{Blobs, Entropy};
use sluice_runtime::{AdminApis, Probes, Recorder, Secret, Settings, Telemetry, start_admin};
use sluice_testkit::openapi::{Answer, OpenApi};
use sluice_testkit::{Faults, Faulty, ManualClock, SeededEntropy, SmallSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

pub(crate) const SECRET: &str = "a secret of more than thirty-two bytes";

pub(crate) static DOCUMENT: LazyLock<OpenApi> =
    LazyLock::new(|| OpenApi::read(include_str!("../../../../docs/openapi.json")).unwrap());

/// Starts logging, which a process does once.
fn telemetry() -> Telemetry {
    static STARTED: OnceLock<Telemetry> = OnceLock::new();
    let start = || Telemetry::start(&Settings::default(), "test").unwrap();
    STARTED.get_or_init(start).clone()
}

/// Two, with a small source each.
fn tenants() -> Tenants {
    let tenant = || Tenant {
        source: Arc::new(SmallSource::of(10, 6)),
        policy: Policy {
            chunk_bytes: 200,
            ..Policy::default()
        },
        access: Arc::default(),
    };
    let names = ["default", "other"];
    let each = names.map(|name| (name.parse().unwrap(), tenant()));
    each.into_iter().collect()
}

/// An admin port; closed when dropped.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) ports: Ports,
    pub(crate) tenants: Tenants,
    pub(crate) stop: CancellationToken,
    /// Who was refused, at what.
    pub(crate) refusals: Arc<Mutex<Vec<(IpAddr, &'static str)>>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) struct Got {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Holds it against `docs/openapi.json`.
    fn check(&self, request: &[u8]) {
        let line = request.split(|byte| *byte == b'\r').next().unwrap();
        let mut words = std::str::from_utf8(line).unwrap().split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let path = DOCUMENT.path(target.split('?').next().unwrap());
        let Some(path) = path.filter(|path| DOCUMENT.has(method, path)) else {
            let refused = [401, 404, 405].contains(&self.status);
            return assert!(refused, "{method} {target}: {}", self.status);
        };
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let headers: Vec<&str> = lines.map(|(name, _)| name).collect();
        let answer = Answer {
            status: self.status,
            content_type: self.header("content-type"),
            headers: &headers,
            body: Some(self.body.as_bytes()).filter(|_| method != "HEAD"),
        };
        let checked = DOCUMENT.check(method, path, answer);
        assert_eq!(checked, Ok(()), "docs/openapi.json, {method} {path}");
    }
}

impl Site {
    pub(crate) async fn new(secret: &str, faults: &Faults) -> Self {
        Self::with_chance(secret, faults, Arc::new(SeededEntropy::new(7))).await
    }

    pub(crate) async fn with_chance(
        secret: &str,
        faults: &Faults,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
        let clock = Arc::new(ManualClock::default());
        let ports = Ports {
            blobs: Arc::new(Faulty::new(blobs, faults)),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock,
            entropy,
            metrics: Metrics::default(),
        };
        let declared = json!({ "default": { "set": { "scopes": ["system/*.rs"] } }, "other": {} });
        let declared: DeclaredClients = serde_json::from_value(declared).unwrap();
        let clients = Clients::of(&ports, declared);
        let tenants = tenants();
        let mut apis = sluice_gateway::admin_apis(&ports, &tenants, clients);
        let unwritten: Recorder = Arc::new(|_, _| Box::pin(std::future::ready(Ok(()))));
        let filter = telemetry().log_filter().clone();
        apis.push(sluice_runtime::log_filter_api(filter, unwritten));
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut settings = Settings::default();
        settings.admin.listen = Some(address);
        settings.admin.secret = Secret::new(secret);
        let fine = || Box::pin(std::future::ready(Vec::new()));
        let probes = Probes {
            alive: Arc::new(move || fine()),
            ready: Arc::new(move || fine()),
            limited: Arc::new(|| Box::pin(std::future::ready(vec!["queue: away".to_owned()]))),
            telemetry: telemetry(),
        };
        let stop = CancellationToken::new();
        let refusals = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&refusals);
        let apis = AdminApis {
            apis,
            on_refusal: Arc::new(move |from, path| {
                seen.lock().unwrap().push((from, path));
            }),
        };
        start_admin(&settings, probes, apis, &stop).await.unwrap();
        Self {
            address,
            ports,
            tenants,
            stop,
            refusals,
        }
    }

    pub(crate) async fn open() -> Self {
        Self::new(SECRET, &Faults::default()).await
    }

    /// Sends these very bytes.
    pub(crate) async fn raw(&self, request: &[u8]) -> Got {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let got = Got {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        };
        got.check(request);
        got
    }

    pub(crate) async fn with(&self, headers: &str, line: &str, body: &str) -> Got {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.raw(request.as_bytes()).await
    }

    pub(crate) async fn ask(&self, line: &str, body: &str) -> Got {
        let got = self
            .with(&format!("Authorization: Bearer {SECRET}\r\n"), line, body)
            .await;
        assert_eq!(got.header("cache-control"), Some("no-store"));
        got
    }

    /// Each of these is told which methods there are.
    pub(crate) async fn takes_only(&self, cases: &[(&str, &str)]) {
        for (line, allow) in cases {
            let got = self.ask(line, "").await;
            let told = (got.status, got.header("allow"));
            assert_eq!(told, (405, Some(*allow)), "{line}");
        }
    }

    pub(crate) async fn refused(&self, line: &str, body: &Value, status: u16, text: &str) {
        let got = self.ask(line, &body.to_string()).await;
        assert_eq!(got.status, status, "{line}: {}", got.body);
        assert!(got.error().contains(text), "{line}: {}", got.body);
    }
}
