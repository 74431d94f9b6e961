//! `/jobs`, `/dispatch`, `/dead` and `/log`: what operators see, and what they change is in the audit beforehand.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_engine::{Advance, AdvanceLimits, Export, ExportLimits, Journal};
use sluice_fhir::{Instant, Level, ResourceType};
use sluice_model::{
    Form, Hint, JobId, JobRecord, JobRef, Lane, Scope, Selection, Snapshot, Version, layout,
};
use sluice_ports::{Entropy, JobStatus, PortError, PortKind, Settle};
use sluice_testkit::Faults;

use crate::site::{SECRET, Site};

const PATIENT: &str = "patient-whose-name-must-not-be-told";

/// A job that was accepted so many seconds before the others.
fn record(tenant: &str, number: u8, accepted_at: Instant) -> JobRecord {
    let name = JobRef {
        tenant: tenant.parse().unwrap(),
        job: JobId::from_bytes([number; 16]),
    };
    JobRecord {
        v: Version::FIRST,
        url: format!("http://test/{tenant}/fhir/Group/g/$export?patient=Patient/{PATIENT}"),
        name,
        client: Some("etl".to_owned()),
        scope: Scope {
            selection: Selection::default(),
            level: Level::Group("g".to_owned()),
            types: vec!["Observation".parse().unwrap(), ResourceType::PATIENT],
            since: None,
            until: None,
            patients: Some(vec![PATIENT.to_owned()]),
            snapshot: Snapshot {
                time: accepted_at,
                token: String::new(),
            },
        },
        form: Form::default(),
        ignored: Vec::new(),
        claims: Vec::new(),
        traceparent: None,
        accepted_at,
    }
}

impl Site {
    fn journal(&self) -> Journal {
        Journal::new(self.ports.blobs.clone())
    }

    async fn accept(&self, tenant: &str, number: u8, ago: i64) -> JobRef {
        let now = self.ports.clock.now();
        let at = Instant::from_nanos(now.nanos() - ago * 1_000_000_000);
        self.put(record(tenant, number, at)).await
    }

    /// One that exports whatever the source has.
    async fn accept_whole(&self, tenant: &str, number: u8) -> JobRef {
        let mut whole = record(tenant, number, self.ports.clock.now());
        whole.scope.level = Level::Patient;
        whole.scope.patients = None;
        self.put(whole).await
    }

    async fn put(&self, record: JobRecord) -> JobRef {
        let job = record.name.clone();
        let key = layout::job_record(&job);
        self.journal().create(&key, &record).await.unwrap();
        let status = JobStatus::accepted(record.accepted_at);
        self.ports.index.insert(&job, status).await.unwrap();
        job
    }

    /// A chunk that nobody could handle.
    async fn die(&self, chunk: &str, job: &JobRef) -> Hint {
        let hint = Hint::ExportChunk(job.clone(), chunk.parse().unwrap());
        let queue = &self.ports.queue;
        queue.send(hint.clone().into()).await.unwrap();
        let delivery = queue.receive(Lane::Chunks).await.unwrap();
        delivery.settle(Settle::DeadLetter).await.unwrap();
        hint
    }

    /// The events that wait, by their own word.
    async fn audited(&self) -> Vec<String> {
        let outbox = layout::audit_outbox();
        let listed = self.ports.blobs.list(outbox, None, 99).await.unwrap();
        let mut words = Vec::new();
        for blob in listed {
            let event = self.ports.blobs.get(&blob.key).await.unwrap().unwrap();
            let event: Value = serde_json::from_slice(&event).unwrap();
            let word = event["subtype"].as_array().unwrap().last().unwrap();
            words.push(word["code"].as_str().unwrap().to_owned());
            let who = &event["agent"][0]["who"]["identifier"]["value"];
            assert_eq!(who, "sluice:administrator");
            let network = &event["agent"][0]["network"];
            assert_eq!(network["address"], "127.0.0.1", "from where");
        }
        words.sort_unstable();
        words
    }

    async fn get(&self, path: &str) -> Value {
        let got = self.ask(&format!("GET {path}"), "").await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        assert!(!got.body.contains(PATIENT), "{}", got.body);
        got.json()
    }

    async fn listed(&self, query: &str) -> Vec<String> {
        let list = self.get(&format!("/jobs{query}")).await;
        let jobs = list["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["job"].as_str().unwrap()[..2].to_owned())
            .collect()
    }
}

#[tokio::test]
async fn jobs_are_listed_newest_first_and_in_parts() {
    let site = Site::open().await;
    assert_eq!(site.get("/jobs").await, json!({ "jobs": [] }));
    for (tenant, number, ago) in [("default", 1, 50), ("other", 2, 10), ("default", 3, 90)] {
        site.accept(tenant, number, ago).await;
    }
    let failed = site.accept("default", 4, 50).await;
    let now = site.ports.clock.now();
    let end = site
        .ports
        .index
        .end(&failed, sluice_model::JobState::Failed, now);
    assert!(end.await.unwrap());
    assert_eq!(site.listed("").await, ["02", "01", "04", "03"]);
    assert_eq!(
        site.listed("?tenant=default&state=").await,
        ["01", "04", "03"]
    );
    assert_eq!(site.listed("?state=failed").await, ["04"]);
    assert_eq!(site.listed("?state=running&tenant=other").await, ["02"]);
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let list = site.get(&format!("/jobs?limit=1&after={after}")).await;
        seen.extend(
            list["jobs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|job| job["age_seconds"].clone()),
        );
        match list["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(seen, [10, 50, 50, 90]);
    let job = &site.get("/jobs?limit=1").await["jobs"][0];
    assert_eq!(
        (&job["level"], &job["group"]),
        (&json!("group"), &json!("g"))
    );
    assert_eq!(
        (&job["client"], &job["state"]),
        (&json!("etl"), &json!("accepted"))
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused_with_its_reason() {
    let site = Site::open().await;
    for (query, why) in [
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?state=odd", "state"),
        ("?after=x", "after"),
        ("?x=y", "none of"),
        ("?state=failed&state=failed", "twice"),
    ] {
        site.refused(&format!("GET /jobs{query}"), &json!(null), 400, why)
            .await;
    }
    for path in [
        "/jobs?tenant=nobody",
        "/jobs/default",
        "/jobs/nobody/x",
        "/jobs/",
    ] {
        site.refused(&format!("GET {path}"), &json!(null), 404, "no such")
            .await;
    }
    let got = site.ask("POST /jobs", "").await;
    assert_eq!((got.status, got.header("allow")), (405, Some("GET")));
}

#[tokio::test]
async fn one_job_and_each_of_its_chunks() {
    let site = Site::open().await;
    let job = site.accept_whole("default", 7).await;
    let limits = AdvanceLimits {
        window: 3,
        ..AdvanceLimits::default()
    };
    let advance = Advance::new(&site.ports, &site.tenants, limits);
    let export = Export::new(&site.ports, &site.tenants, ExportLimits::default());
    advance.advance(&job).await.unwrap();
    let delivery = site.ports.queue.receive(Lane::Chunks).await.unwrap();
    assert_eq!(export.run(delivery.hint().clone(), 0).await, Settle::Ack);
    let why = "it was a test";
    let second = "00001-01".parse().unwrap();
    export.give_up(&job, second, "queue", why).await.unwrap();
    let shown = site.get(&format!("/jobs/{job}")).await;
    let chunks = &shown["chunks"];
    assert_eq!(shown["state"], "exporting");
    let counted = ["done", "failed", "handed_out"].map(|name| chunks[name].as_u64().unwrap());
    assert_eq!(counted, [2, 1, 1]);
    assert_eq!(
        (&shown["level"], &shown["paused"]),
        (&json!("patient"), &json!(false))
    );
    assert_eq!(shown["types"], json!(["Observation", "Patient"]));
    let listed = site.get(&format!("/jobs/{job}/chunks")).await;
    let chunks = listed["chunks"].as_array().unwrap();
    assert!(chunks.len() > 3, "{listed}");
    let states = ["done", "failed", "handed-out", "waiting"];
    for (chunk, state) in chunks.iter().zip(states) {
        assert_eq!(chunk["state"], state, "{chunk}");
        assert_eq!(chunk["since"].is_string(), state == "handed-out", "{chunk}");
        assert_eq!(chunk["written"].is_object(), state == "done", "{chunk}");
        assert_eq!(chunk["failure"].is_object(), state == "failed", "{chunk}");
        assert_eq!(chunk["work"], "read");
    }
    let after = site
        .get(&format!("/jobs/{job}/chunks?after=00001-01"))
        .await;
    assert_eq!(after["chunks"][0], chunks[2]);
    let none = site
        .get(&format!("/jobs/{job}/chunks?after=00009-01"))
        .await;
    assert_eq!(none, json!({ "chunks": [] }));
    let odd = format!("GET /jobs/{job}/chunks?after=1");
    site.refused(&odd, &json!(null), 400, "chunk").await;
    // What the index forgot is in the journal.
    site.ports.index.remove(&job).await.unwrap();
    let again = site.get(&format!("/jobs/{job}")).await;
    assert_eq!(again["chunks"]["failed"], 1);
}

#[tokio::test]
async fn a_job_is_cancelled_once_and_the_audit_knows_that_an_operator_did_it() {
    let site = Site::open().await;
    let job = site.accept("default", 7, 5).await;
    let line = format!("DELETE /jobs/{job}");
    assert_eq!(site.ask(&line, "").await.status, 204);
    assert_eq!(site.audited().await, ["job-cancelled"]);
    site.refused(&line, &json!(null), 404, "no such job").await;
    assert_eq!(site.audited().await.len(), 1);
    let shown = site.get(&format!("/jobs/{job}")).await;
    assert_eq!(shown["patients"], 1);
    assert_eq!(
        (&shown["state"], &shown["withdrawn"]),
        (&json!("cancelled"), &json!("deleted"))
    );
    let lost = format!("DELETE /jobs/{}", job.to_string().replace("07", "08"));
    site.refused(&lost, &json!(null), 404, "no such job").await;
}

/// Without chance no event has an id, so that none is written down.
struct NoChance;

impl Entropy for NoChance {
    fn fill(&self, _: &mut [u8]) -> Result<(), PortError> {
        Err(PortError::new(PortKind::Transient, "asking for chance"))
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let site = Site::with_chance(SECRET, &Faults::default(), Arc::new(NoChance)).await;
    let job = site.accept("default", 7, 5).await;
    site.die("00001-00", &job).await;
    let before = site.get("/dispatch").await;
    for line in [
        "POST /dispatch/pause".to_owned(),
        "POST /dispatch/other/pause".to_owned(),
        "POST /dispatch/resume".to_owned(),
        "POST /dead/requeue".to_owned(),
        format!("DELETE /jobs/{job}"),
    ] {
        let got = site.ask(&line, "").await;
        assert_eq!(
            (got.status, got.header("retry-after")),
            (503, Some("5")),
            "{line}"
        );
    }
    assert_eq!(site.get("/dispatch").await, before);
    assert_eq!(before["waiting"]["dead"], 1);
    assert_eq!(site.listed("?state=accepted").await, ["07"]);
}

#[tokio::test]
async fn the_dispatch_is_paused_shown_and_resumed() {
    let site = Site::open().await;
    let fresh = site.get("/dispatch").await;
    let waiting = json!({ "jobs": 0, "chunks": 0, "dead": 0 });
    let goes_on = |name: &str| json!({ "tenant": name, "paused": false });
    let tenants = [goes_on("default"), goes_on("other")];
    assert_eq!(
        fresh,
        json!({ "paused": false, "tenants": tenants, "waiting": waiting })
    );
    for _ in 0..2 {
        for path in ["/dispatch/pause", "/dispatch/other/pause"] {
            assert_eq!(site.ask(&format!("POST {path}"), "").await.status, 204);
        }
    }
    let paused = site.get("/dispatch").await;
    assert!(paused["paused"] == true && paused["since"].is_string());
    assert_eq!(paused["tenants"][0], goes_on("default"));
    assert_eq!(paused["tenants"][1]["paused"], true);
    let job = site.accept("default", 7, 5).await;
    assert_eq!(site.get(&format!("/jobs/{job}")).await["paused"], true);
    for path in [
        "/dispatch/resume",
        "/dispatch/other/resume",
        "/dispatch/resume",
    ] {
        assert_eq!(site.ask(&format!("POST {path}"), "").await.status, 204);
    }
    assert_eq!(site.get("/dispatch").await, fresh);
    let told = site.audited().await;
    let count = |word: &str| told.iter().filter(|told| *told == word).count();
    assert_eq!(
        (count("dispatch-paused"), count("dispatch-resumed")),
        (4, 3)
    );
    for path in [
        "/dispatch/nobody/pause",
        "/dispatch/No%20One/pause",
        "/dispatch/x",
        "/dispatch/",
    ] {
        site.refused(&format!("POST {path}"), &json!(null), 404, "no such")
            .await;
    }
    site.takes_only(&[
        ("POST /dispatch", "GET"),
        ("GET /dispatch/pause", "POST"),
        ("DELETE /dispatch/other/pause", "POST"),
        ("GET /dead/requeue", "POST"),
    ])
    .await;
}

#[tokio::test]
async fn dead_letters_are_tried_again() {
    let site = Site::open().await;
    let job = site.accept("default", 7, 5).await;
    let hint = site.die("00001-00", &job).await;
    assert_eq!(site.get("/dispatch").await["waiting"]["dead"], 1);
    for moved in [1, 0] {
        let got = site.ask("POST /dead/requeue", "").await;
        assert_eq!(
            (got.status, got.json()),
            (200, json!({ "requeued": moved }))
        );
    }
    let delivery = site.ports.queue.receive(Lane::Chunks).await.unwrap();
    assert_eq!((delivery.hint(), delivery.attempt()), (&hint, 0));
    assert_eq!(site.audited().await, ["dead-requeued", "dead-requeued"]);
    site.refused("POST /dead", &json!(null), 404, "no such path")
        .await;
}

#[tokio::test]
async fn strangers_see_and_change_nothing() {
    let site = Site::open().await;
    let job = site.accept("default", 7, 5).await;
    let lines = [
        "GET /jobs".to_owned(),
        format!("GET /jobs/{job}"),
        format!("DELETE /jobs/{job}"),
        "GET /dispatch".to_owned(),
        "POST /dispatch/pause".to_owned(),
        "POST /dead/requeue".to_owned(),
        "PUT /log/filter".to_owned(),
    ];
    for line in &lines {
        let got = site.with("", line, "").await;
        assert_eq!(got.status, 401, "{line}");
        let got = site.with("Authorization: Bearer x\r\n", line, "").await;
        assert_eq!(got.status, 401, "{line}");
    }
    let refusals = site.refusals.lock().unwrap().clone();
    assert_eq!(refusals.len(), 2 * lines.len(), "each is told of");
    let at = |path| (IpAddr::from([127, 0, 0, 1]), path);
    assert_eq!((refusals[0], refusals[6]), (at("/jobs"), at("/dispatch")));
    let metrics = site.with("", "GET /metrics", "").await.body;
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("admin_requests_refused_total "));
    // Other sites of this process are counted with it.
    assert!(counted.unwrap().parse::<usize>().unwrap() >= refusals.len());
    assert_eq!(site.audited().await.len(), 0);
    assert_eq!(site.get("/dispatch").await["paused"], false);
    assert_eq!(site.listed("").await, ["07"]);
}
