//! A coordinator believes for a second what it saw of the pauses, and no longer; a sweep looks at once.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{
    Advance, AdvanceLimits, Control, Journal, Metrics, Policy, Ports, Tenant, Tenants,
};
use sluice_fhir::{Level, ResourceType};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::{
    Form, JobId, JobRecord, JobRef, Scope, Selection, Snapshot, Tally, Version, layout,
};
use sluice_ports::{Blobs, Clock};
use sluice_testkit::{Faults, Faulty, ManualClock, SeededEntropy, SmallSource};
use tokio_util::sync::CancellationToken;

/// A coordinator that hands out one chunk at a time of a job that has many.
struct Site {
    ports: Ports,
    clock: Arc<ManualClock>,
    advance: Advance,
    control: Control,
    /// Counts what is asked of the store.
    asked: Faults,
    job: JobRef,
}

impl Site {
    async fn new() -> Self {
        let (clock, asked) = (Arc::new(ManualClock::default()), Faults::default());
        let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
        let ports = Ports {
            blobs: Arc::new(Faulty::new(blobs, &asked)),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            metrics: Metrics::default(),
        };
        let tenant = Tenant {
            source: Arc::new(SmallSource::of(10, 6)),
            policy: Policy {
                chunk_bytes: 200,
                ..Policy::default()
            },
            access: Arc::default(),
        };
        let tenants: Tenants = [("one".parse().unwrap(), tenant)].into_iter().collect();
        let limits = AdvanceLimits {
            window: 1,
            ..AdvanceLimits::default()
        };
        let record = record(&clock);
        let (job, journal) = (record.name.clone(), Journal::new(ports.blobs.clone()));
        let key = layout::job_record(&job);
        journal.create(&key, &record).await.unwrap();
        let site = Self {
            advance: Advance::new(&ports, &tenants, limits),
            control: Control::new(&ports, &tenants),
            ports,
            clock,
            asked,
            job,
        };
        site.advance.advance(&site.job).await.unwrap();
        assert_eq!(site.outstanding().await, 1);
        site
    }

    async fn outstanding(&self) -> u32 {
        let status = self.ports.index.get(&self.job).await.unwrap();
        status.unwrap().outstanding
    }

    /// A worker is done with a chunk, and the coordinator hears of it; says how often it asked the store.
    async fn end(&self, chunk: u32) -> u64 {
        let index = &self.ports.index;
        let done = index.chunk_done(&self.job, chunk, Tally::default()).await;
        assert!(done.unwrap().first);
        let before = self.asked.calls();
        self.advance.advance(&self.job).await.unwrap();
        self.asked.calls() - before
    }
}

fn record(clock: &ManualClock) -> JobRecord {
    let now = clock.now();
    JobRecord {
        v: Version::SECOND,
        name: JobRef {
            tenant: "one".parse().unwrap(),
            job: JobId::from_bytes([3; 16]),
        },
        url: "http://test/one/fhir/Patient/$export".to_owned(),
        client: None,
        scope: Scope {
            selection: Selection::default(),
            level: Level::Patient,
            types: vec!["Observation".parse().unwrap(), ResourceType::PATIENT],
            since: None,
            until: None,
            patients: None,
            snapshot: Snapshot {
                time: now,
                token: String::new(),
            },
        },
        form: Form::default(),
        ignored: Vec::new(),
        claims: Vec::new(),
        traceparent: None,
        accepted_at: now,
    }
}

#[tokio::test]
async fn the_store_is_asked_for_pauses_once_a_second() {
    let site = Site::new().await;
    let few = site.end(0).await;
    assert_eq!(site.end(1).await, few);
    site.clock.pass(Duration::from_millis(999));
    assert_eq!(site.end(2).await, few);
    site.clock.pass(Duration::from_millis(1));
    assert_eq!(site.end(3).await, few + 1);
    assert_eq!(site.end(4).await, few);
}

#[tokio::test]
async fn a_pause_stops_chunks_after_a_second_at_the_latest() {
    let site = Site::new().await;
    site.control.pause(None).await.unwrap();
    site.clock.pass(Duration::from_millis(999));
    site.end(0).await;
    assert_eq!(site.outstanding().await, 1, "its last sight is believed");
    site.clock.pass(Duration::from_millis(1));
    site.end(1).await;
    assert_eq!(site.outstanding().await, 0);
    site.control.resume(None).await.unwrap();
    site.clock.pass(Duration::from_secs(1));
    site.advance.advance(&site.job).await.unwrap();
    assert_eq!(site.outstanding().await, 1);
}

#[tokio::test]
async fn a_sweep_sees_a_pause_and_its_end_at_once() {
    let site = Site::new().await;
    let sweep = || async {
        let never = CancellationToken::new();
        site.advance.sweep(&never).await.unwrap();
    };
    site.control.pause(None).await.unwrap();
    sweep().await;
    site.end(0).await;
    assert_eq!(site.outstanding().await, 0);
    site.control.resume(None).await.unwrap();
    sweep().await;
    assert_eq!(site.outstanding().await, 1);
}
