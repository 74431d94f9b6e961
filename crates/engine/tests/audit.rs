//! The audit: nothing written down is lost, whatever fails; G12 of the fault matrix.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use serde_json::Value;
use sluice_engine::{
    Advance, AdvanceLimits, Audit, AuditAction, AuditEntry, AuditOutcome, BlobsSink, Journal,
    Metrics, Policy, Ports, Rebuild, Relay, Tenant, Tenants,
};
use sluice_fhir::Level;
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::{
    JobId, JobRecord, JobRef, JobState, Manifest, Scope, Snapshot, TenantId, Version, layout,
};
use sluice_ports::{
    AuditSink, Blobs, Clock, Index, JobStatus, PortError, PortKind, Queue, conformance,
};
use sluice_testkit::{Faults, Faulty, ManualClock, SeededEntropy, SmallSource, When};

/// Keeps what it is given, in order, unless it is down.
#[derive(Default)]
struct MemorySink {
    events: Mutex<Vec<Value>>,
    is_down: AtomicBool,
}

impl MemorySink {
    /// The words of the events, in order.
    fn told(&self, name: &str) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|event| detail(event, name)).collect()
    }

    fn ids(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        events.iter().map(id).collect()
    }
}

#[async_trait]
impl AuditSink for MemorySink {
    async fn write(&self, events: &[Bytes]) -> Result<(), PortError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(PortError::new(PortKind::Transient, "writing to a sink"));
        }
        // Another relay may come in between.
        tokio::task::yield_now().await;
        let parse = |event: &Bytes| serde_json::from_slice(event).unwrap();
        self.events.lock().unwrap().extend(events.iter().map(parse));
        Ok(())
    }
}

fn detail(event: &Value, name: &str) -> String {
    let entities = event["entity"].as_array().unwrap();
    let details = entities.iter().filter_map(|one| one["detail"].as_array());
    let mut details = details.flatten();
    let found = details.find(|detail| detail["type"] == name).unwrap();
    found["valueString"].as_str().unwrap().to_owned()
}

/// What outlives a process.
struct Rig {
    blobs: Arc<dyn Blobs>,
    index: Arc<dyn Index>,
    queue: Arc<dyn Queue>,
    clock: Arc<ManualClock>,
    sink: Arc<MemorySink>,
    /// Processes have each their own chance, or ids would be the same.
    seeds: AtomicU64,
}

impl Rig {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        Self {
            blobs: Arc::new(MemoryBlobs::default()),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock,
            sink: Arc::default(),
            seeds: AtomicU64::new(100),
        }
    }

    fn ports(&self, faults: &Faults, seed: u64) -> Ports {
        Ports {
            blobs: Arc::new(Faulty::new(self.blobs.clone(), faults)),
            index: Arc::new(Faulty::new(self.index.clone(), faults)),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            metrics: Metrics::default(),
        }
    }

    fn quiet(&self, seed: u64) -> Ports {
        self.ports(&Faults::default(), seed)
    }

    fn relay(&self, faults: &Faults, seed: u64) -> Relay {
        let sink: Arc<dyn AuditSink> = self.sink.clone();
        let sink = Arc::new(Faulty::new(sink, faults));
        Relay::new(&self.ports(faults, seed), sink)
    }

    async fn waiting(&self) -> usize {
        let outbox = layout::audit_outbox();
        self.blobs.list(outbox, None, 99_999).await.unwrap().len()
    }
}

fn tenant() -> TenantId {
    "one".parse().unwrap()
}

fn entry(number: usize) -> AuditEntry {
    AuditEntry {
        details: vec![("number", number.to_string())],
        ..AuditEntry::new(&tenant(), AuditAction::KickOff, AuditOutcome::Success)
    }
}

async fn record(rig: &Rig, numbers: std::ops::Range<usize>) {
    let audit = Audit::new(&rig.quiet(7), u32::MAX);
    for number in numbers {
        rig.clock.pass(Duration::from_millis(1));
        audit.record(&entry(number)).await.unwrap();
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// A process writes five events down and delivers them; one call goes wrong. Says which events were
/// written down for certain.
async fn record_and_deliver(rig: &Rig, faults: &Faults) -> BTreeSet<String> {
    let audit = Audit::new(&rig.ports(faults, 1), 100);
    let mut certain = BTreeSet::new();
    for number in 0..5 {
        if audit.is_full().await.is_ok() && audit.record(&entry(number)).await.is_ok() {
            certain.insert(number.to_string());
        }
        rig.clock.pass(Duration::from_secs(7));
    }
    let _tried_again_later = rig.relay(faults, 2).deliver().await;
    certain
}

#[tokio::test]
async fn any_single_call_may_fail_and_no_event_is_lost() {
    let rig = Rig::new();
    let quiet = Faults::default();
    assert_eq!(record_and_deliver(&rig, &quiet).await.len(), 5);
    assert_eq!(rig.sink.ids().len(), 5);
    let calls = quiet.calls();
    assert!(calls > 15, "only {calls} calls");
    for call in 0..calls {
        for when in [When::Before, When::After] {
            let rig = Rig::new();
            let certain = record_and_deliver(&rig, &Faults::nth(call, when)).await;
            // As a coordinator does; the lease of one that died runs out.
            rig.clock.pass(Duration::from_mins(2));
            rig.relay(&Faults::default(), 3).deliver().await.unwrap();
            let told: BTreeSet<String> = rig.sink.told("number").into_iter().collect();
            assert!(
                told.is_superset(&certain),
                "call {call}, {when:?}: {told:?}"
            );
            assert_eq!(rig.waiting().await, 0);
            let ids: BTreeSet<String> = rig.sink.ids().into_iter().collect();
            assert_eq!(ids.len(), told.len(), "an event keeps its id");
        }
    }
}

/// Deaths at each call, which leave a lease behind.
#[tokio::test]
async fn a_relay_may_die_at_any_call() {
    let quiet = Faults::default();
    let rig = Rig::new();
    record(&rig, 0..3).await;
    rig.relay(&quiet, 2).deliver().await.unwrap();
    for call in 0..quiet.calls() {
        for when in [When::Before, When::After] {
            let rig = Rig::new();
            record(&rig, 0..3).await;
            let faults = Faults::killing_at(call, when);
            let relay = rig.relay(&faults, 2);
            tokio::select! {
                _ = relay.deliver() => panic!("call {call} did not kill"),
                () = faults.killed() => {}
            }
            rig.clock.pass(Duration::from_mins(2));
            rig.relay(&Faults::default(), 3).deliver().await.unwrap();
            let told: BTreeSet<String> = rig.sink.told("number").into_iter().collect();
            assert_eq!(told.len(), 3, "call {call}, {when:?}");
        }
    }
}

/// G12 of the fault matrix.
#[tokio::test]
async fn g12_while_the_sink_is_down_events_wait_to_a_bound_and_none_is_lost() {
    let rig = Rig::new();
    rig.sink.is_down.store(true, Ordering::SeqCst);
    let relay = rig.relay(&Faults::default(), 2);
    // Two gateways, which do not hear of each other's.
    let gateways = [3, 4].map(|seed| Audit::new(&rig.quiet(seed), 10));
    for number in 0..5 {
        for (gateway, audit) in gateways.iter().enumerate() {
            assert!(!audit.is_full().await.unwrap(), "{number} of {gateway}");
            audit.record(&entry(2 * number + gateway)).await.unwrap();
            rig.clock.pass(Duration::from_millis(5));
        }
        assert!(relay.deliver().await.is_err());
    }
    rig.clock.pass(Duration::from_secs(10));
    for audit in &gateways {
        assert!(audit.is_full().await.unwrap());
    }
    // What is going on already is told of in any case.
    gateways[0].record(&entry(10)).await.unwrap();
    assert!(relay.deliver().await.is_err());
    assert_eq!(rig.waiting().await, 11);

    rig.sink.is_down.store(false, Ordering::SeqCst);
    assert_eq!(relay.deliver().await.unwrap(), 11);
    rig.clock.pass(Duration::from_secs(10));
    for audit in &gateways {
        assert!(!audit.is_full().await.unwrap());
    }
    assert_eq!(rig.sink.told("number"), numbers(0..11));
}

/// What one process writes down itself it knows at once.
#[tokio::test]
async fn the_bound_is_exact_for_one_process_and_cheap_to_ask_for() {
    let (rig, faults) = (Rig::new(), Faults::default());
    let audit = Audit::new(&rig.ports(&faults, 1), 2_500);
    record(&rig, 0..2_400).await;
    for number in 0..100 {
        assert!(!audit.is_full().await.unwrap());
        audit.clone().record(&entry(number)).await.unwrap();
    }
    let (looks, writes) = (3, 100);
    assert_eq!(
        faults.calls(),
        looks + writes,
        "only the first asked the store"
    );
    assert!(audit.is_full().await.unwrap());
    rig.relay(&Faults::default(), 2).deliver().await.unwrap();
    assert!(audit.is_full().await.unwrap(), "believed for a while");
    rig.clock.pass(Duration::from_secs(10));
    assert!(!audit.is_full().await.unwrap());
}

#[tokio::test]
async fn events_arrive_in_the_order_of_their_times() {
    let rig = Rig::new();
    record(&rig, 0..1_203).await;
    let delivered = rig.relay(&Faults::default(), 2).deliver().await.unwrap();
    assert_eq!(delivered, 1_203, "more than two batches");
    assert_eq!(rig.sink.told("number"), numbers(0..1_203));
    assert_eq!(rig.waiting().await, 0);
}

#[tokio::test]
async fn one_relay_leaves_it_to_another_and_two_lose_nothing() {
    let rig = Rig::new();
    record(&rig, 0..20).await;
    let held = rig.index.lease("audit/relay", Duration::from_mins(1)).await;
    let held = held.unwrap().unwrap();
    let relay = rig.relay(&Faults::default(), 2);
    assert_eq!(relay.deliver().await.unwrap(), 0);
    assert_eq!(rig.waiting().await, 20);
    rig.index.release(&held).await.unwrap();

    // Each on an index of its own, so that neither knows of the other.
    let other = Rig {
        index: Arc::new(MemoryIndex::new(rig.clock.clone())),
        blobs: rig.blobs.clone(),
        queue: rig.queue.clone(),
        clock: rig.clock.clone(),
        sink: rig.sink.clone(),
        seeds: AtomicU64::new(200),
    };
    let other = other.relay(&Faults::default(), 3);
    let (one, two) = tokio::join!(relay.deliver(), other.deliver());
    assert!(one.unwrap() + two.unwrap() >= 20);
    let told: BTreeSet<String> = rig.sink.told("number").into_iter().collect();
    assert_eq!(told.len(), 20);
    assert_eq!(rig.waiting().await, 0);
}

/// The audit does not wait for the index.
#[tokio::test]
async fn without_an_index_it_is_delivered_all_the_same() {
    let rig = Rig::new();
    record(&rig, 0..2).await;
    let relay = rig.relay(&Faults::nth(0, When::Before), 2);
    assert_eq!(relay.deliver().await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_no_event_stays_and_holds_nobody_up() {
    let rig = Rig::new();
    record(&rig, 0..2).await;
    let early = layout::audit_event(sluice_fhir::Instant::from_millis(5), "0000000000000000");
    let cut_off = Bytes::from_static(b"{\"resourceType\":\"Audi");
    rig.blobs.create(&early, cut_off.clone()).await.unwrap();
    let relay = rig.relay(&Faults::default(), 2);
    assert_eq!(relay.deliver().await.unwrap(), 2);
    assert_eq!(relay.deliver().await.unwrap(), 0);
    assert_eq!(rig.blobs.get(&early).await.unwrap(), Some(cut_off));
    record(&rig, 2..4).await;
    assert_eq!(relay.deliver().await.unwrap(), 2);
    assert_eq!(rig.sink.told("number"), numbers(0..4));
}

/// One that cannot be read at the moment comes later.
#[tokio::test]
async fn an_event_that_cannot_be_read_waits_alone() {
    let rig = Rig::new();
    record(&rig, 0..3).await;
    // Lease, list, then the three reads.
    let relay = rig.relay(&Faults::nth(3, When::Before), 2);
    assert!(relay.deliver().await.is_err());
    assert_eq!(rig.sink.told("number"), ["0", "2"]);
    assert_eq!(relay.deliver().await.unwrap(), 1);
    assert_eq!(rig.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_is_down() {
    struct Stuck;
    #[async_trait]
    impl AuditSink for Stuck {
        async fn write(&self, _events: &[Bytes]) -> Result<(), PortError> {
            std::future::pending().await
        }
    }
    let rig = Rig::new();
    record(&rig, 0..1).await;
    let relay = Relay::new(&rig.quiet(2), Arc::new(Stuck));
    assert!(relay.deliver().await.unwrap_err().is_transient());
    assert_eq!(rig.waiting().await, 1);
}

#[tokio::test]
async fn blobs_sink() {
    let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
    let read = || {
        let blobs = blobs.clone();
        let read = async move {
            let mut lines = Vec::new();
            for info in blobs.list(layout::audit_log(), None, 999).await.unwrap() {
                let body = blobs.get(&info.key).await.unwrap().unwrap();
                let text = std::str::from_utf8(&body).unwrap();
                lines.extend(text.lines().map(str::to_owned));
            }
            lines
        };
        read.boxed()
    };
    let sink = BlobsSink::new(blobs.clone());
    conformance::audit_sink(&sink, &read).await.unwrap();
    let objects = blobs.list(layout::audit_log(), None, 999).await.unwrap();
    assert_eq!(
        objects.len(),
        10,
        "a batch that comes again is the same object"
    );
    let name = "_audit/log/2026/03/01/1772323260000-";
    assert!(objects[0].key.starts_with(name), "{}", objects[0].key);
    // Whatever it is, it is kept.
    sink.write(&[Bytes::from_static(b"{}")]).await.unwrap();
    let undated = blobs.list("_audit/log/1970/01/01/", None, 9).await.unwrap();
    assert_eq!(undated.len(), 1);
}

/// A job that has ended, as it lies in the journal.
async fn ended_job(rig: &Rig) -> JobRef {
    let job = JobRef {
        tenant: tenant(),
        job: JobId::from_bytes([3; 16]),
    };
    let now = rig.clock.now();
    let record = JobRecord {
        v: Version::default(),
        name: job.clone(),
        url: "http://test/one/fhir/Group/g1/$export".to_owned(),
        client: Some("registry".to_owned()),
        scope: Scope {
            selection: sluice_model::Selection::default(),
            level: Level::Group("g1".to_owned()),
            types: Vec::new(),
            since: None,
            until: None,
            patients: Some(vec!["someone".to_owned()]),
            snapshot: Snapshot {
                time: now,
                token: String::new(),
            },
        },
        form: sluice_model::Form::default(),
        ignored: Vec::new(),
        claims: Vec::new(),
        traceparent: None,
        accepted_at: now,
    };
    let journal = Journal::new(rig.blobs.clone());
    let key = layout::job_record(&job);
    journal.create(&key, &record).await.unwrap();
    let manifest = manifest(&record, now.plus(Duration::from_hours(1)));
    let key = layout::manifest(&job);
    journal.create(&key, &manifest).await.unwrap();
    let mut status = JobStatus::accepted(now);
    status.state = JobState::Complete;
    status.ended_at = Some(now);
    rig.index.insert(&job, status).await.unwrap();
    job
}

fn manifest(record: &JobRecord, expires_at: sluice_fhir::Instant) -> Manifest {
    Manifest {
        v: Version::default(),
        transaction_time: record.scope.snapshot.time,
        request: record.url.clone(),
        organized_by: None,
        output: Vec::new(),
        deleted: Vec::new(),
        error: Vec::new(),
        completed_at: record.accepted_at,
        expires_at,
        failure: None,
        pages_before: 0,
    }
}

fn tenants() -> Tenants {
    let policy = Policy {
        retention: Duration::from_hours(1),
        ..Policy::default()
    };
    let source = Arc::new(SmallSource::of(1, 1));
    [(
        tenant(),
        Tenant {
            source,
            policy,
            access: Arc::default(),
        },
    )]
    .into_iter()
    .collect()
}

async fn advance(rig: &Rig, faults: &Faults, job: &JobRef) -> Result<(), PortError> {
    let ports = rig.ports(faults, rig.seeds.fetch_add(1, Ordering::SeqCst));
    let advance = Advance::new(&ports, &tenants(), AdvanceLimits::default());
    advance.advance(job).await
}

async fn is_withdrawn(rig: &Rig, job: &JobRef) -> bool {
    let journal = Journal::new(rig.blobs.clone());
    journal.tombstone(job).await.unwrap().is_some()
}

#[tokio::test]
async fn an_expiry_is_written_down_once_and_names_no_patient() {
    let rig = Rig::new();
    let job = ended_job(&rig).await;
    let quiet = Faults::default();
    advance(&rig, &quiet, &job).await.unwrap();
    assert_eq!(rig.waiting().await, 0, "it is not due");
    rig.clock.pass(Duration::from_hours(1));
    for _ in 0..3 {
        advance(&rig, &quiet, &job).await.unwrap();
    }
    assert!(is_withdrawn(&rig, &job).await);
    rig.relay(&quiet, 2).deliver().await.unwrap();
    let events = rig.sink.events.lock().unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["subtype"][0]["code"], "expired");
    assert_eq!(event["action"], "D");
    assert_eq!(event["agent"][0]["who"]["display"], "Sluice");
    assert_eq!(event["entity"][0]["what"]["reference"], "Group/g1");
    let job_named = &event["entity"][1]["what"]["identifier"]["value"];
    assert_eq!(job_named, &job.to_string());
    assert_eq!(detail(event, "client"), "registry");
    assert!(!event.to_string().contains("someone"));
}

#[tokio::test]
async fn nothing_expires_that_is_not_written_down() {
    let quiet = Faults::default();
    let rig = Rig::new();
    let job = ended_job(&rig).await;
    rig.clock.pass(Duration::from_hours(1));
    advance(&rig, &quiet, &job).await.unwrap();
    assert!(is_withdrawn(&rig, &job).await);
    for call in 0..quiet.calls() {
        for when in [When::Before, When::After] {
            let rig = Rig::new();
            let job = ended_job(&rig).await;
            rig.clock.pass(Duration::from_hours(1));
            let _the_sweep_tries_again = advance(&rig, &Faults::nth(call, when), &job).await;
            if is_withdrawn(&rig, &job).await {
                assert!(rig.waiting().await > 0, "call {call}, {when:?}");
            }
            advance(&rig, &Faults::default(), &job).await.unwrap();
            assert!(is_withdrawn(&rig, &job).await);
            assert!(
                (1..=2).contains(&rig.waiting().await),
                "call {call}, {when:?}"
            );
        }
    }
}

#[tokio::test]
async fn whoever_looks_for_jobs_leaves_the_audit_alone() {
    let rig = Rig::new();
    record(&rig, 0..2).await;
    let ports = rig.quiet(5);
    let sink = BlobsSink::new(rig.blobs.clone());
    let kept = [Bytes::from_static(b"{}")];
    sink.write(&kept).await.unwrap();
    let rebuild = Rebuild::new(&ports, &tenants());
    assert_eq!(rebuild.all().await.unwrap(), 0);
    rebuild.sweep_unfinished().await.unwrap();
    assert_eq!(rig.waiting().await, 2);
    let log = rig.blobs.list(layout::audit_log(), None, 9).await.unwrap();
    assert_eq!(log.len(), 1);
}
