//! Documents of a newer build, while versions are rolled out: nothing is given up, removed or held up for them.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::sync::Arc;

use serde::Serialize;
use sluice_engine::{
    Advance, AdvanceLimits, Export, ExportLimits, Jobs, JobsQuery, Journal, Metrics, Policy, Ports,
    Rebuild, Tenant, Tenants,
};
use sluice_fhir::{Level, ResourceType};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::{
    ChunkId, DOCUMENT_VERSION, Form, Hint, JobId, JobRecord, JobRef, PlanPage, Scope, Selection,
    Snapshot, Tally, Version, layout,
};
use sluice_ports::{Blobs, JobStatus, PortKind, Settle};
use sluice_testkit::{PausedClock, SeededEntropy, SmallSource};

fn named(number: u8) -> JobRef {
    JobRef {
        tenant: "one".parse().unwrap(),
        job: JobId::from_bytes([number; 16]),
    }
}

/// A document as a build to come writes it.
fn newer(document: &impl Serialize) -> String {
    let mut document = serde_json::to_value(document).unwrap();
    document["v"] = (DOCUMENT_VERSION + 1).into();
    document["of-tomorrow"] = true.into();
    document.to_string()
}

struct Site {
    ports: Ports,
    tenants: Tenants,
    journal: Journal,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(PausedClock::default());
        let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
        let tenant = Tenant {
            source: Arc::new(SmallSource::of(3, 2)),
            policy: Policy::default(),
            access: Arc::default(),
        };
        Self {
            journal: Journal::new(blobs.clone()),
            tenants: [("one".parse().unwrap(), tenant)].into_iter().collect(),
            ports: Ports {
                blobs,
                index: Arc::new(MemoryIndex::new(clock.clone())),
                queue: Arc::new(MemoryQueue::default()),
                clock,
                entropy: Arc::new(SeededEntropy::new(1)),
                metrics: Metrics::default(),
            },
        }
    }

    /// Accepts a job whose document this puts down; `None` is one of a build to come.
    async fn accepted(&self, number: u8, body: Option<&str>) -> JobRef {
        let job = named(number);
        let document = newer(&self.record(&job));
        let key = layout::job_record(&job);
        self.put(&key, body.unwrap_or(&document)).await;
        job
    }

    /// Accepts a job that this build reads.
    async fn plain(&self, number: u8) -> JobRef {
        let record = self.record(&named(number));
        let key = layout::job_record(&record.name);
        self.journal.create(&key, &record).await.unwrap();
        record.name
    }

    async fn put(&self, key: &str, body: &str) {
        let body = body.to_owned().into();
        self.ports.blobs.create(key, body).await.unwrap();
    }

    fn record(&self, job: &JobRef) -> JobRecord {
        let now = self.ports.clock.now();
        JobRecord {
            v: Version::FIRST,
            name: job.clone(),
            url: "http://test/one/fhir/Patient/$export".to_owned(),
            client: None,
            scope: Scope {
                selection: Selection::default(),
                level: Level::Patient,
                types: vec![ResourceType::PATIENT],
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

    async fn objects(&self) -> usize {
        let listed = self.ports.blobs.list("one/", None, 100).await;
        listed.unwrap().len()
    }
}

/// A worker hands its chunk on, however often it was tried, and a coordinator leaves the job to another.
#[tokio::test]
async fn h3_a_job_of_a_newer_build_is_left_to_newer_processes() {
    let site = Site::new();
    let job = site.accepted(1, None).await;
    let export = Export::new(&site.ports, &site.tenants, ExportLimits::default());
    for attempt in [0, 99] {
        let hint = Hint::ExportChunk(job.clone(), ChunkId::from_ordinal(0));
        let settle = export.run(hint, attempt).await;
        assert_eq!(settle, Settle::Ack, "no hint of it goes round");
    }
    let advance = Advance::new(&site.ports, &site.tenants, AdvanceLimits::default());
    let refused = advance.advance(&job).await.unwrap_err();
    assert_eq!(refused.kind, PortKind::Newer);
    let hint = Hint::ExportChunk(job.clone(), ChunkId::from_ordinal(0));
    let buried = advance.bury(hint, &export).await;
    assert!(matches!(buried, Settle::RetryAfter(_)), "{buried:?}");
    assert_eq!(site.objects().await, 1, "nothing but its job.json");
}

/// Otherwise one document that cannot be read would keep every other job waiting once Redis is lost.
#[tokio::test]
async fn e2_jobs_that_cannot_be_read_keep_no_other_from_the_index() {
    let site = Site::new();
    let newer = site.accepted(1, None).await;
    let broken = site.accepted(2, Some("{\"v\":1}")).await;
    let plain = site.plain(3).await;
    let rebuild = Rebuild::new(&site.ports, &site.tenants);
    assert_eq!(rebuild.unless_marked().await.unwrap(), Some(1));
    assert_eq!(site.ports.index.jobs().await.unwrap(), [plain]);
    for left in [newer, broken] {
        let found = site.ports.blobs.head(&layout::job_record(&left)).await;
        assert!(found.unwrap().is_some());
    }
}

/// Its `job.json` can be read and its plan cannot: a coordinator of this build neither ends it nor keeps half of it
/// in the index, where nobody would ever look for the rest.
#[tokio::test]
async fn h3_a_plan_of_a_newer_build_ends_no_job_and_is_in_no_index_by_half() {
    let site = Site::new();
    let job = site.plain(1).await;
    let page = PlanPage {
        v: Version::FIRST,
        page: 1,
        chunks: Vec::new(),
        next: None,
        expected_so_far: Tally::default(),
        barriers: Vec::new(),
    };
    site.put(&layout::plan_page(&job, 1), &newer(&page)).await;
    let index = &site.ports.index;
    let rebuild = Rebuild::new(&site.ports, &site.tenants);
    assert_eq!(rebuild.all().await.unwrap(), 0);
    assert_eq!(index.jobs().await.unwrap(), []);
    // As a newer coordinator would have it there.
    let status = JobStatus::accepted(site.ports.clock.now());
    assert!(index.insert(&job, status).await.unwrap());
    let advance = Advance::new(&site.ports, &site.tenants, AdvanceLimits::default());
    let refused = advance.advance(&job).await.unwrap_err();
    assert_eq!(refused.kind, PortKind::Newer);
    assert_eq!(site.objects().await, 2, "no manifest says that it failed");
    assert!(index.get(&job).await.unwrap().unwrap().state.is_running());
}

/// An operator still sees the rest.
#[tokio::test]
async fn h3_a_job_that_cannot_be_read_hides_no_other_from_the_list() {
    let site = Site::new();
    let (plain, newer) = (site.plain(1).await, site.accepted(2, None).await);
    for job in [&plain, &newer] {
        let status = JobStatus::accepted(site.ports.clock.now());
        assert!(site.ports.index.insert(job, status).await.unwrap());
    }
    let query = JobsQuery {
        tenant: None,
        state: None,
        after: None,
        limit: 10,
    };
    let jobs = Jobs::new(&site.ports, &site.tenants);
    let listed = jobs.list(&query).await.unwrap().jobs;
    assert_eq!(
        listed.iter().map(|job| job.job).collect::<Vec<_>>(),
        [plain.job]
    );
}
