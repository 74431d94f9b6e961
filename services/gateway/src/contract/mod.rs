//! The HTTP contract, over the real engine with everything in memory.

mod access;
mod associated;
mod ballot;
mod deleted;
mod discovery;
mod files;
mod kickoff;
mod limits;
mod live;
mod openapi;
mod organized;
mod pages;
mod presets;
mod promises;
mod selection;
mod status;
mod tls;

pub(crate) use tls::Issuer;

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, web};
use serde_json::{Value, json};
use sluice_coordinator::{Coordinator, CoordinatorSettings};
use sluice_engine::{
    Advance, AdvanceLimits, Audit, Authorization, BlobsSink, Export, ExportLimits, Gate, Metrics,
    Pace, Policy, PollLimits, Ports, Rebuild, Relay, Tenant, TenantAccess, Tenants,
};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::Lane;
use sluice_ports::{Blobs, Index, Queue};
use sluice_runtime::ServerSection;
use sluice_testkit::{Faults, Faulty, ManualClock, SeededEntropy, SmallSource};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, GatewaySettings, Limits, LinkKey, request, routes};

const PUBLIC: &str = "https://bulk.example.org";
const EXPORT: &str = "/default/fhir/Patient/$export";

/// Events of the audit that may wait.
const MOST_WAITING: u32 = 1000;

/// A gateway, and on demand the rest of a server behind it.
struct Site {
    gateway: web::Data<Gateway>,
    ports: Ports,
    tenants: Tenants,
    authorization: Authorization,
    clock: Arc<ManualClock>,
    source: Arc<SmallSource>,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer, read.
struct Got {
    status: StatusCode,
    headers: header::HeaderMap,
    body: web::Bytes,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first issue; every failure must have one, and say something.
    fn issue(&self) -> String {
        assert_eq!(self.header("content-type"), "application/fhir+json");
        let outcome = self.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        let issue = &outcome["issue"][0];
        assert!(issue["details"]["text"].as_str().unwrap().len() > 10);
        issue["code"].as_str().unwrap().to_owned()
    }
}

impl Site {
    fn new(faults: &Faults) -> Self {
        Self::with(faults, Policy::default())
    }

    /// A tenant that wants something special.
    fn wanting(policy: Policy) -> Self {
        Self::with(&Faults::default(), policy)
    }

    fn with(faults: &Faults, policy: Policy) -> Self {
        let tenants = [("default", TenantAccess::default())];
        Self::assembled(faults, policy, &tenants, |_, _| Authorization::Off)
    }

    /// Tenants that say who may do what, and whether anybody asks.
    fn assembled(
        faults: &Faults,
        policy: Policy,
        tenants: &[(&str, TenantAccess)],
        authorization: impl FnOnce(&Ports, &Tenants) -> Authorization,
    ) -> Self {
        let clock = Arc::new(ManualClock::default());
        let index: Arc<dyn Index> = Arc::new(MemoryIndex::new(clock.clone()));
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::default());
        let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
        let ports = Ports {
            blobs: Arc::new(Faulty::new(blobs, faults)),
            index,
            queue,
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            metrics: Metrics::default(),
        };
        let deleted = ["Observation/gone-1", "Patient/gone-2"];
        let source = Arc::new(SmallSource::of(3, 40).deleting(&deleted));
        let policy = Policy {
            chunk_bytes: 2_000,
            file_bytes: 4_000,
            retention: Duration::from_hours(2),
            ..policy
        };
        let tenant = |access: &TenantAccess| Tenant {
            source: source.clone(),
            policy,
            access: Arc::new(access.clone()),
        };
        let tenants = tenants.iter();
        let tenants: Tenants = tenants
            .map(|(id, access)| (id.parse().unwrap(), tenant(access)))
            .collect();
        let authorization = authorization(&ports, &tenants);
        let gateway = gateway(&ports, &tenants, &authorization, settings());
        Self {
            gateway: web::Data::new(gateway),
            ports,
            tenants,
            authorization,
            clock,
            source,
            stop: CancellationToken::new(),
        }
    }

    fn quiet() -> Self {
        Self::new(&Faults::default())
    }

    /// One whose gateway is set otherwise than usual.
    fn set(change: impl FnOnce(&mut GatewaySettings)) -> Self {
        let mut site = Self::quiet();
        site.gateway = web::Data::new(site.another(change));
        site
    }

    /// Another gateway to the same.
    fn another(&self, change: impl FnOnce(&mut GatewaySettings)) -> Gateway {
        let mut settings = settings();
        change(&mut settings);
        gateway(&self.ports, &self.tenants, &self.authorization, settings)
    }

    /// Has coordinator and worker read another source.
    fn serve(&mut self, source: SmallSource) {
        let source = Arc::new(source);
        let tenant = |id| Tenant {
            source: source.clone(),
            ..self.tenants.get(id).unwrap().clone()
        };
        let tenants = self.tenants.ids().map(|id| (id.clone(), tenant(id)));
        self.tenants = tenants.collect();
    }

    /// Starts coordinator and worker.
    fn work(&self) {
        let export = Export::new(&self.ports, &self.tenants, ExportLimits::default());
        let sink = Arc::new(BlobsSink::new(self.ports.blobs.clone()));
        let coordinator = Coordinator {
            advance: Advance::new(&self.ports, &self.tenants, AdvanceLimits::default()),
            export: export.clone(),
            rebuild: Rebuild::new(&self.ports, &self.tenants),
            relay: Relay::new(&self.ports, sink),
            ports: self.ports.clone(),
        };
        let settings = CoordinatorSettings {
            sweep_every: Duration::from_secs(15),
            reconcile_every: Duration::from_mins(5),
            deliver_every: Duration::from_secs(5),
            width: 2,
        };
        let (ports, stop) = (self.ports.clone(), self.stop.clone());
        tokio::spawn(sluice_coordinator::run(coordinator, settings, stop.clone()));
        let pace = Pace {
            width: 2,
            grace: Duration::ZERO,
        };
        tokio::spawn(sluice_worker::run(
            export,
            ports,
            pace,
            (Gate::default(), stop),
        ));
    }

    /// Hands out one chunk of each job and exports it, instead of [`Site::work`].
    async fn one_step(&self) {
        let limits = AdvanceLimits {
            window: 1,
            ..AdvanceLimits::default()
        };
        let advance = Advance::new(&self.ports, &self.tenants, limits);
        advance.sweep(&self.stop).await.unwrap();
        let export = Export::new(&self.ports, &self.tenants, ExportLimits::default());
        let queue = &self.ports.queue;
        while queue.waiting(Lane::Chunks).await.unwrap() > 0 {
            let delivery = queue.receive(Lane::Chunks).await.unwrap();
            let settle = export.run(delivery.hint().clone(), delivery.attempt());
            let settle = settle.await;
            delivery.settle(settle).await.unwrap();
        }
    }

    async fn send(&self, request: TestRequest) -> Got {
        let app = App::new()
            .app_data(self.gateway.clone())
            .wrap(actix_web::middleware::from_fn(crate::limits::wrap))
            .wrap(actix_web::middleware::from_fn(request::wrap))
            .configure(routes::configure);
        let app = init_service(app).await;
        let request = request.to_request();
        let method = request.method().clone();
        let response = app.call(request).await.unwrap();
        let route = response.request().match_pattern();
        let got = read(response).await;
        openapi::check(&method, route.as_deref(), &got);
        assert!(!got.header("x-request-id").is_empty());
        // OAuth has a form of its own.
        let failed = got.status.is_client_error() || got.status.is_server_error();
        if failed && !got.json()["error"].is_string() {
            got.issue();
        }
        got
    }

    async fn get(&self, url: &str) -> Got {
        self.send(TestRequest::get().uri(local(url))).await
    }

    async fn post(&self, path: &str, body: &Value) -> Got {
        let request = TestRequest::post().uri(path);
        let kind = (header::CONTENT_TYPE, "application/fhir+json");
        self.send(request.insert_header(kind).set_payload(body.to_string()))
            .await
    }

    /// Kicks off, and polls as told until the manifest is there.
    async fn export(&self, path: &str) -> (String, Value) {
        let started = self.get(path).await;
        assert_eq!(started.status, StatusCode::ACCEPTED);
        let status = started.header("content-location").to_owned();
        let manifest = self.finish(&status).await;
        (status, manifest)
    }

    async fn finish(&self, status: &str) -> Value {
        loop {
            let got = self.get(status).await;
            if got.status == StatusCode::OK {
                return got.json();
            }
            assert_eq!(got.status, StatusCode::ACCEPTED);
            let told = got.header("retry-after").parse().unwrap();
            self.clock.pass(Duration::from_secs(told));
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn settings() -> GatewaySettings {
    GatewaySettings {
        public_url: PUBLIC.to_owned(),
        link_life: Duration::from_mins(10),
        max_body: 2_000,
        limits: Limits::of(&ServerSection::default()),
        tls: None,
        polls: PollLimits::default(),
        drain: Duration::ZERO,
    }
}

fn gateway(
    ports: &Ports,
    tenants: &Tenants,
    authorization: &Authorization,
    settings: GatewaySettings,
) -> Gateway {
    Gateway::new(
        ports,
        tenants,
        (authorization.clone(), &Audit::new(ports, MOST_WAITING)),
        LinkKey([5; 32]),
        settings,
    )
}

async fn read(response: ServiceResponse<impl MessageBody>) -> Got {
    Got {
        status: response.status(),
        headers: response.headers().clone(),
        body: read_body(response).await,
    }
}

fn local(url: &str) -> &str {
    url.strip_prefix(PUBLIC).unwrap_or(url)
}

fn parameters(list: &Value) -> Value {
    json!({ "resourceType": "Parameters", "parameter": list })
}
