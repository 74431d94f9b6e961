//! The HTTP contract, over the real engine with everything in memory.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, web};
use serde_json::{Value, json};
use sluice_coordinator::{Coordinator, CoordinatorSettings};
use sluice_engine::{
    Advance, AdvanceLimits, Duplicates, Export, ExportLimits, Pace, Policy, PollLimits, Ports,
    Rebuild, Tenant, Tenants,
};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_ports::{Blobs, Index, Queue};
use sluice_testkit::{Faults, Faulty, ManualClock, SeededEntropy, SmallSource, When};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, GatewaySettings, LinkKey, request_id, routes};

const PUBLIC: &str = "https://bulk.example.org";
const EXPORT: &str = "/default/fhir/Patient/$export";

/// A gateway, and on demand the rest of a server behind it.
struct Site {
    gateway: web::Data<Gateway>,
    ports: Ports,
    tenants: Tenants,
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
        };
        let source = Arc::new(SmallSource::of(3, 40));
        let policy = Policy {
            chunk_bytes: 2_000,
            file_bytes: 4_000,
            retention: Duration::from_hours(2),
            ..policy
        };
        let tenant = Tenant {
            source: source.clone(),
            policy,
        };
        let tenants: Tenants = [("default".parse().unwrap(), tenant)].into_iter().collect();
        let settings = GatewaySettings {
            public_url: PUBLIC.to_owned(),
            link_life: Duration::from_mins(10),
            max_body: 2_000,
            polls: PollLimits::default(),
            drain: Duration::ZERO,
        };
        let gateway = Gateway::new(&ports, &tenants, LinkKey([5; 32]), settings);
        Self {
            gateway: web::Data::new(gateway),
            ports,
            tenants,
            clock,
            source,
            stop: CancellationToken::new(),
        }
    }

    fn quiet() -> Self {
        Self::new(&Faults::default())
    }

    /// Starts coordinator and worker.
    fn work(&self) {
        let export = Export::new(&self.ports, &self.tenants, ExportLimits::default());
        let coordinator = Coordinator {
            advance: Advance::new(&self.ports, &self.tenants, AdvanceLimits::default()),
            export: export.clone(),
            rebuild: Rebuild::new(&self.ports, &self.tenants),
            queue: self.ports.queue.clone(),
        };
        let settings = CoordinatorSettings {
            sweep_every: Duration::from_secs(15),
            reconcile_every: Duration::from_mins(5),
            width: 2,
        };
        let (queue, stop) = (self.ports.queue.clone(), self.stop.clone());
        tokio::spawn(sluice_coordinator::run(coordinator, settings, stop.clone()));
        let pace = Pace {
            width: 2,
            grace: Duration::ZERO,
        };
        tokio::spawn(sluice_worker::run(export, queue, pace, stop));
    }

    async fn send(&self, request: TestRequest) -> Got {
        let app = App::new()
            .app_data(self.gateway.clone())
            .wrap(actix_web::middleware::from_fn(request_id::wrap))
            .configure(routes::configure);
        let app = init_service(app).await;
        let response = app.call(request.to_request()).await.unwrap();
        let got = read(response).await;
        assert!(!got.header("x-request-id").is_empty());
        if got.status.is_client_error() || got.status.is_server_error() {
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

#[actix_web::test]
async fn e_01_to_e_03_every_level_is_kicked_off_by_get_and_post() {
    let site = Site::quiet();
    let mut seen = Vec::new();
    for path in [
        "/default/fhir/$export",
        EXPORT,
        "/default/fhir/Patient/%24export",
        "/default/fhir/Group/everyone/$export",
    ] {
        let post = site.post(path, &parameters(&json!([]))).await;
        for got in [site.get(path).await, post] {
            assert_eq!(got.status, StatusCode::ACCEPTED, "{path}");
            let url = got.header("content-location").to_owned();
            assert!(url.starts_with("https://bulk.example.org/default/fhir/bulk-export/jobs/"));
            assert_eq!(got.issue(), "informational");
            assert!(!seen.contains(&url), "every export has its own URL");
            seen.push(url);
        }
    }
}

#[actix_web::test]
async fn what_is_wrong_with_a_kickoff_is_told() {
    let site = Site::quiet();
    for (query, code) in [
        ("_type=Patient,Foo", "not-supported"),
        ("_type=Practitioner", "not-supported"),
        ("_since=2026-01-01", "invalid"),
        ("_until=yesterday", "invalid"),
        ("_outputFormat=text/csv", "invalid"),
        ("patient=Patient/1", "not-supported"),
        ("_elements=id", "not-supported"),
        ("_typeFilter=Patient%3Fx%3D1", "not-supported"),
        (
            "includeAssociatedData=LatestProvenanceResources",
            "not-supported",
        ),
        ("organizeOutputBy=Patient", "not-supported"),
        ("allowPartialManifests=true", "not-supported"),
        ("colour=red", "not-supported"),
        ("_type=%ff", "structure"),
    ] {
        let got = site.get(&format!("{EXPORT}?{query}")).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(got.issue(), code, "{query}");
    }
}

#[actix_web::test]
async fn what_is_wrong_with_a_body_is_told() {
    let site = Site::quiet();
    let in_the_query = format!("{EXPORT}?patient=Patient/1");
    let got = site.post(&in_the_query, &parameters(&json!([]))).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::BAD_REQUEST, "not-supported"),
        "T-014: a patient is named in the body only"
    );
    let unknown = parameters(&json!([
        { "name": "patient", "valueReference": { "reference": "Patient/nobody" } }
    ]));
    let got = site.post(EXPORT, &unknown).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::BAD_REQUEST, "not-found")
    );
    let got = site
        .post(EXPORT, &json!({ "resourceType": "Patient" }))
        .await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::BAD_REQUEST, "structure")
    );
    let large = parameters(&json!([{ "name": "x", "valueString": "x".repeat(3_000) }]));
    let got = site.post(EXPORT, &large).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "too-long")
    );
    let text = TestRequest::post().uri(EXPORT).set_payload("_type=Patient");
    let form = text.insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"));
    let got = site.send(form).await;
    assert_eq!(got.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[actix_web::test]
async fn unknown_paths_methods_and_populations() {
    let site = Site::quiet();
    for path in [
        "/",
        "/default/fhir/Observation/1",
        "/nobody/fhir/metadata",
        "/nobody/fhir/$export",
        "/NO/fhir/$export",
        "/default/fhir/Group/unknown/$export",
        "/default/fhir/Group/unknown",
        "/default/fhir/bulk-export/jobs/x",
        "/default/fhir/bulk-export/jobs/00000000000000000000000000000000",
        "/default/fhir/OperationDefinition/import",
    ] {
        let got = site.get(path).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(got.issue(), "not-found", "{path}");
    }
    for (method, path) in [
        (Method::PUT, EXPORT),
        (Method::DELETE, "/default/fhir/metadata"),
        (Method::POST, "/default/fhir/bulk-export/jobs/x"),
    ] {
        let got = site
            .send(TestRequest::default().method(method).uri(path))
            .await;
        assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(got.header("allow").starts_with("GET, "));
    }
    let csv = TestRequest::get().uri(EXPORT);
    let got = site
        .send(csv.insert_header((header::ACCEPT, "text/csv")))
        .await;
    assert_eq!(got.status, StatusCode::NOT_ACCEPTABLE);
}

#[actix_web::test]
async fn e_04_from_progress_to_manifest() {
    let site = Site::quiet();
    let url = format!("{EXPORT}?_type=Patient,Observation");
    let started = site.get(&url).await;
    let status = started.header("content-location").to_owned();
    let running = site.get(&status).await;
    assert_eq!(running.status, StatusCode::ACCEPTED);
    assert_eq!(
        running.header("x-progress"),
        "0% complete, 0 resources, 0 per second"
    );
    assert_eq!(running.header("retry-after"), "1");
    assert!(running.body.is_empty(), "T-039");
    site.work();
    site.finish(&status).await;
    let done = site.get(&status).await;
    assert_eq!(done.header("content-type"), "application/json");
    assert_eq!(done.header("cache-control"), "no-store");
    assert!(done.header("expires").ends_with("GMT"), "R-127");
    let manifest = done.json();
    assert_eq!(manifest["request"], format!("{PUBLIC}{url}"));
    assert_eq!(manifest["requiresAccessToken"], false);
    assert_eq!(manifest["error"], json!([]), "T-041");
    assert!(manifest["transactionTime"].as_str().unwrap().ends_with('Z'));
    let entries = manifest["output"].as_array().unwrap();
    let counts: u64 = entries
        .iter()
        .map(|entry| entry["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counts, 123);
    assert!(entries.iter().any(|entry| entry["type"] == "Patient"));
}

#[actix_web::test]
async fn t_036_polling_as_told_is_never_too_fast_and_faster_is_429() {
    let site = Site::quiet();
    let status = site.get(EXPORT).await;
    let status = status.header("content-location").to_owned();
    let mut refused = None;
    for _ in 0..40 {
        let got = site.get(&status).await;
        if got.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(got);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.issue(), "throttled");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    site.clock.pass(Duration::from_secs(wait));
    for _ in 0..40 {
        let got = site.get(&status).await;
        assert_eq!(got.status, StatusCode::ACCEPTED);
        let told: u64 = got.header("retry-after").parse().unwrap();
        site.clock.pass(Duration::from_secs(told));
    }
}

#[actix_web::test]
async fn e_07_files_whole_in_part_compressed_and_unchanged() {
    use sha2::{Digest, Sha256};
    let site = Site::quiet();
    site.work();
    let (_, manifest) = site.export(EXPORT).await;
    let lines = every_form_of_every_file_is_right(&site, &manifest).await;
    assert_eq!(lines, site.source.lines());
    for entry in manifest["output"].as_array().unwrap() {
        let url = entry["url"].as_str().unwrap();
        let whole = site.get(url).await;
        assert_eq!(whole.status, StatusCode::OK);
        assert_eq!(whole.header("content-type"), "application/fhir+ndjson");
        assert_eq!(whole.header("vary"), "Accept-Encoding");
        let size = entry["extension"]["urn:sluice:bytes"].as_u64().unwrap();
        assert_eq!(u64::try_from(whole.body.len()).unwrap(), size);
        let hash = hex::encode(Sha256::digest(&whole.body));
        assert_eq!(entry["extension"]["urn:sluice:sha256"], hash);
        assert_eq!(whole.header("etag"), format!("\"{hash}\""));
        let with = |name: header::HeaderName, value: &str| {
            TestRequest::get()
                .uri(local(url))
                .insert_header((name, value.to_owned()))
        };
        let zipped = site.send(with(header::ACCEPT_ENCODING, "gzip")).await;
        assert_ne!(zipped.header("etag"), whole.header("etag"));
        let part = site.send(with(header::RANGE, "bytes=5-9")).await;
        assert_eq!(part.header("content-range"), format!("bytes 5-9/{size}"));
        let range = with(header::RANGE, "bytes=5-9");
        let stale = range.insert_header((header::IF_RANGE, "\"other\""));
        assert_eq!(site.send(stale).await.status, StatusCode::OK);
        let outside = site.send(with(header::RANGE, "bytes=9999999-")).await;
        assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(outside.header("content-range"), format!("bytes */{size}"));
        let same = site.send(with(header::IF_NONE_MATCH, whole.header("etag")));
        assert_eq!(same.await.status, StatusCode::NOT_MODIFIED);
    }
}

async fn every_form_of_every_file_is_right(site: &Site, manifest: &Value) -> Vec<String> {
    use std::io::Read;
    let mut lines = Vec::new();
    for entry in manifest["output"].as_array().unwrap() {
        let url = entry["url"].as_str().unwrap();
        let whole = site.get(url).await;
        let size = entry["extension"]["urn:sluice:bytes"].as_u64().unwrap();
        assert_eq!(u64::try_from(whole.body.len()).unwrap(), size);
        let with = |name: header::HeaderName, value: &str| {
            let request = TestRequest::get().uri(local(url));
            request.insert_header((name, value.to_owned()))
        };
        let zipped = site.send(with(header::ACCEPT_ENCODING, "gzip")).await;
        assert_eq!(zipped.header("content-encoding"), "gzip");
        let mut text = Vec::new();
        let mut unzipped = flate2::read::GzDecoder::new(&zipped.body[..]);
        unzipped.read_to_end(&mut text).unwrap();
        assert_eq!(text, whole.body);
        for (range, from, to) in [("5-9", 5, 10), ("0-0", 0, 1), ("7-", 7, whole.body.len())] {
            let part = site
                .send(with(header::RANGE, &format!("bytes={range}")))
                .await;
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
            assert_eq!(part.body, whole.body[from..to]);
        }
        let text = String::from_utf8(whole.body.to_vec()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort_unstable();
    lines
}

#[actix_web::test]
async fn files_that_are_stored_as_gzip_are_served_in_every_form() {
    let site = Site::wanting(Policy {
        gzip: true,
        ..Policy::default()
    });
    site.work();
    let (_, manifest) = site.export(EXPORT).await;
    let url = manifest["output"][0]["url"].as_str().unwrap();
    assert!(url.contains(".ndjson.gz?"), "{url}");
    let lines = every_form_of_every_file_is_right(&site, &manifest).await;
    assert_eq!(lines, site.source.lines());
}

fn duplicates(duplicates: Duplicates) -> Site {
    Site::wanting(Policy {
        duplicates,
        ..Policy::default()
    })
}

/// C-013, T-021: a duplicate is one only while the first runs.
#[actix_web::test]
async fn a_13_duplicates_are_refused_while_the_first_runs() {
    let site = duplicates(Duplicates::Reject);
    let first = site
        .get(&format!("{EXPORT}?_type=Patient,Observation"))
        .await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let again = format!("{EXPORT}?_type=Observation&_type=Patient");
    let refused = site.get(&again).await;
    assert_eq!(
        (refused.status, refused.issue().as_str()),
        (StatusCode::CONFLICT, "duplicate")
    );
    let other = site.get(&format!("{EXPORT}?_type=Patient")).await;
    assert_eq!(other.status, StatusCode::ACCEPTED);
    let first = first.header("content-location").to_owned();
    site.send(TestRequest::delete().uri(local(&first))).await;
    let second = site.get(&again).await;
    assert_eq!(second.status, StatusCode::ACCEPTED, "after DELETE");
    site.work();
    site.finish(second.header("content-location")).await;
    assert_eq!(site.get(&again).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn a_11_the_same_request_at_once_joins_one_export() {
    let site = duplicates(Duplicates::Join);
    let requests = (0..20).map(|_| site.get(EXPORT));
    let answers = futures::future::join_all(requests).await;
    let location = answers[0].header("content-location");
    assert!(!location.is_empty());
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.header("content-location"), location);
    }
    let other = site.get("/default/fhir/$export").await;
    assert_ne!(other.header("content-location"), location);
}

#[actix_web::test]
async fn an_idempotency_key_gives_one_export_under_every_policy() {
    for policy in [Duplicates::Allow, Duplicates::Reject, Duplicates::Join] {
        let site = duplicates(policy);
        let with = |url: &str, key: &str| {
            let request = TestRequest::get().uri(url);
            request.insert_header(("Idempotency-Key", key.to_owned()))
        };
        let first = site.send(with(EXPORT, "a")).await;
        let again = site.send(with(EXPORT, "a")).await;
        assert_eq!(again.status, StatusCode::ACCEPTED);
        assert_eq!(
            again.header("content-location"),
            first.header("content-location")
        );
        let reused = site.send(with("/default/fhir/$export", "a")).await;
        assert_eq!(
            (reused.status, reused.issue().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "conflict")
        );
        let empty = site.send(with(EXPORT, "")).await;
        assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    }
}

#[actix_web::test]
async fn r_094_as_many_exports_run_as_a_client_may_have() {
    let site = Site::wanting(Policy {
        most_running: Some(2),
        ..Policy::default()
    });
    let first = site.get(EXPORT).await;
    assert_eq!(site.get(EXPORT).await.status, StatusCode::ACCEPTED);
    let refused = site.get(EXPORT).await;
    assert_eq!(
        (refused.status, refused.issue().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "throttled")
    );
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    let first = first.header("content-location").to_owned();
    site.send(TestRequest::delete().uri(local(&first))).await;
    assert_eq!(site.get(EXPORT).await.status, StatusCode::ACCEPTED);
}

#[actix_web::test]
async fn r_180_links_work_alone_for_a_time_and_for_one_file() {
    let site = Site::quiet();
    site.work();
    let (status, manifest) = site.export(EXPORT).await;
    let url =
        |manifest: &Value, n: usize| manifest["output"][n]["url"].as_str().unwrap().to_owned();
    let (one, two) = (url(&manifest, 0), url(&manifest, 1));
    let query = one.split_once('?').unwrap().1;
    let crossed = format!("{}?{query}", two.split_once('?').unwrap().0);
    for bad in [crossed, one.split_once('?').unwrap().0.to_owned()] {
        let got = site.get(&bad).await;
        assert_eq!(
            (got.status, got.issue().as_str()),
            (StatusCode::FORBIDDEN, "forbidden")
        );
    }
    site.clock.pass(Duration::from_mins(11));
    let late = site.get(&one).await;
    assert_eq!(
        (late.status, late.issue().as_str()),
        (StatusCode::FORBIDDEN, "expired")
    );
    let fresh = site.finish(&status).await;
    assert_eq!(
        site.get(&url(&fresh, 0)).await.status,
        StatusCode::OK,
        "R-177"
    );
}

#[actix_web::test]
async fn e_05_deleted_exports_are_gone_running_or_finished() {
    let site = Site::quiet();
    let running = site.get(EXPORT).await;
    let running = running.header("content-location").to_owned();
    let delete = |url: &str| TestRequest::delete().uri(local(url));
    // T-036, T-062: however fast it was polled, after DELETE it is 404.
    for _ in 0..9 {
        site.get(&running).await;
        site.clock.pass(Duration::from_millis(10));
    }
    let deleted = site.send(delete(&running)).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED, "R-203");
    assert_eq!(deleted.issue(), "informational");
    assert_eq!(site.get(&running).await.issue(), "deleted");
    site.work();
    let (finished, manifest) = site.export(EXPORT).await;
    let file = manifest["output"][0]["url"].as_str().unwrap();
    assert_eq!(site.get(file).await.status, StatusCode::OK);
    assert_eq!(
        site.send(delete(&finished)).await.status,
        StatusCode::ACCEPTED
    );
    for url in [&finished, &running, file] {
        assert_eq!(site.get(url).await.status, StatusCode::NOT_FOUND, "R-206");
    }
    assert_eq!(
        site.send(delete(&finished)).await.status,
        StatusCode::NOT_FOUND
    );
}

#[actix_web::test]
async fn t_063_expired_exports_are_404() {
    let site = Site::quiet();
    site.work();
    let (status, manifest) = site.export(EXPORT).await;
    site.clock.pass(Duration::from_hours(2));
    let got = site.get(&status).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::NOT_FOUND, "deleted")
    );
    let file = manifest["output"][0]["url"].as_str().unwrap();
    assert!(site.get(file).await.status.is_client_error());
}

#[actix_web::test]
async fn r_166_what_lenient_handling_ignored_is_in_the_error_files() {
    let site = Site::quiet();
    site.work();
    let request =
        TestRequest::get().uri("/default/fhir/$export?_elements=id&colour=red&_type=Patient");
    let request = request.insert_header(("Prefer", "respond-async, handling=lenient"));
    let started = site.send(request).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    let manifest = site.finish(started.header("content-location")).await;
    let error = &manifest["error"][0];
    assert_eq!(
        (&error["type"], &error["count"]),
        (&json!("OperationOutcome"), &json!(2))
    );
    let file = site.get(error["url"].as_str().unwrap()).await;
    let text = String::from_utf8(file.body.to_vec()).unwrap();
    assert!(text.contains("_elements") && text.contains("colour"));
}

#[actix_web::test]
async fn t_022_the_host_header_decides_nothing() {
    let site = Site::quiet();
    let request = TestRequest::get().uri(EXPORT);
    let got = site
        .send(request.insert_header((header::HOST, "evil.example")))
        .await;
    assert!(got.header("content-location").starts_with(PUBLIC));
}

#[actix_web::test]
async fn e_09_e_12_e_13_discovery_and_groups() {
    let site = Site::quiet();
    let metadata = site.get("/default/fhir/metadata").await.json();
    assert_eq!(
        metadata["implementation"]["url"],
        format!("{PUBLIC}/default/fhir")
    );
    for id in ["export", "patient-export", "group-export"] {
        let path = format!("/default/fhir/OperationDefinition/{id}");
        assert_eq!(site.get(&path).await.json()["id"], id);
    }
    let group = site.get("/default/fhir/Group/everyone").await.json();
    assert_eq!(group["id"], "everyone");
    let found = site
        .get("/default/fhir/Group?name=every&_count=5")
        .await
        .json();
    assert_eq!(
        (&found["type"], &found["total"]),
        (&json!("searchset"), &json!(1))
    );
    let entry = &found["entry"][0];
    assert_eq!(
        entry["fullUrl"],
        format!("{PUBLIC}/default/fhir/Group/everyone")
    );
    assert_eq!(entry["resource"]["id"], "everyone");
    let many = vec!["a"; 101].join(",");
    let refused = site.get(&format!("/default/fhir/Group?name={many}")).await;
    assert_eq!(refused.issue(), "too-long");
    let refused = site.get("/default/fhir/Group?colour=red").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn a_store_that_cannot_be_reached_is_503_and_says_when_to_come_back() {
    // The journal tries a write three times; a single lost call is not seen by the client.
    let site = Site::new(&Faults::nth(0, When::Before));
    assert_eq!(site.get(EXPORT).await.status, StatusCode::ACCEPTED);
    let status = site.get(EXPORT).await;
    let status = status.header("content-location").to_owned();
    let site = Site::new(&Faults::nth(0, When::Before));
    let got = site.get(&status).await;
    assert_eq!(
        (got.status, got.issue().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "transient")
    );
    assert!(got.header("retry-after").parse::<u64>().unwrap() > 0);
    let again = site.get(&status).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "it is another site's");
}

#[actix_web::test]
async fn a_request_id_is_kept_if_it_is_safe() {
    let site = Site::quiet();
    let with = |id: &str| {
        TestRequest::get()
            .uri("/default/fhir/metadata")
            .insert_header(("X-Request-Id", id.to_owned()))
    };
    assert_eq!(
        site.send(with("abc-1")).await.header("x-request-id"),
        "abc-1"
    );
    let unsafe_id = "a b<script>";
    assert_ne!(
        site.send(with(unsafe_id)).await.header("x-request-id"),
        unsafe_id
    );
}
