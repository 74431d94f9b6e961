//! Coordinators that share nothing but the objects, each slow at every call, write one row of pages, and the
//! manifest goes on where it ends.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{
    Advance, AdvanceLimits, Export, ExportLimits, Journal, Metrics, Policy, Ports, Tenant, Tenants,
};
use sluice_fhir::{Level, ResourceType};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::{
    Form, JobId, JobRecord, JobRef, Lane, ManifestPage, Scope, Selection, Snapshot, Version, layout,
};
use sluice_ports::{Blobs, Clock};
use sluice_testkit::{Faults, Faulty, PausedClock, SeededEntropy, SmallSource};

/// A coordinator with a worker, an index and a queue of its own.
struct Site {
    ports: Ports,
    advance: Advance,
    export: Export,
}

impl Site {
    fn new(blobs: &Arc<dyn Blobs>, clock: &Arc<PausedClock>, seed: u64) -> Self {
        let faults = Faults::slow(seed);
        let ports = Ports {
            blobs: Arc::new(Faulty::new(blobs.clone(), &faults)),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(seed + 1_000_000)),
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
            window: 3,
            ..AdvanceLimits::default()
        };
        Self {
            advance: Advance::new(&ports, &tenants, limits),
            export: Export::new(&ports, &tenants, ExportLimits::default()),
            ports,
        }
    }

    /// Moves a job along, step by step, until it ended.
    async fn run(&self, job: &JobRef) {
        let queue = &self.ports.queue;
        loop {
            self.advance.advance(job).await.unwrap();
            let status = self.ports.index.get(job).await.unwrap();
            if status.is_some_and(|status| !status.state.is_running()) {
                return;
            }
            while queue.waiting(Lane::Chunks).await.unwrap() > 0 {
                let delivery = queue.receive(Lane::Chunks).await.unwrap();
                let settle = self.export.run(delivery.hint().clone(), 0).await;
                delivery.settle(settle).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn record(clock: &PausedClock) -> JobRecord {
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
        form: Form {
            partial: true,
            ..Form::default()
        },
        ignored: Vec::new(),
        claims: Vec::new(),
        traceparent: None,
        accepted_at: now,
    }
}

/// The pages, without their end.
async fn pages(journal: &Journal, job: &JobRef) -> Vec<ManifestPage> {
    let mut pages = Vec::new();
    for number in 1.. {
        match journal.manifest_page(job, number).await.unwrap() {
            Some(page) if !page.is_end => pages.push(page),
            _ => break,
        }
    }
    pages
}

#[tokio::test(start_paused = true)]
async fn no_page_comes_behind_the_manifest() {
    let mut offered = 0;
    for seed in 0..150 {
        let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
        let clock = Arc::new(PausedClock::default());
        let (journal, record) = (Journal::new(blobs.clone()), record(&clock));
        let job = &record.name;
        let key = layout::job_record(job);
        journal.create(&key, &record).await.unwrap();
        let sites = [0, 1, 2].map(|site| Site::new(&blobs, &clock, seed * 3 + site));
        let [one, two, three] = &sites;
        tokio::join!(one.run(job), two.run(job), three.run(job));

        let (pages, manifest) = (pages(&journal, job).await, journal.manifest(job).await);
        let manifest = manifest.unwrap().unwrap();
        let before = usize::try_from(manifest.pages_before).unwrap();
        assert_eq!(before, pages.len(), "seed {seed}: a page came too late");
        offered += before;
        let early = pages.iter().flat_map(|page| &page.output);
        let named: Vec<&str> = early
            .chain(&manifest.output)
            .map(|file| file.key.as_str())
            .collect();
        let mut written = BTreeSet::new();
        for chunk in journal.ended_chunks(job, None).await.unwrap() {
            let receipt = journal.receipt(job, chunk).await.unwrap().unwrap();
            written.extend(receipt.files.into_iter().map(|file| file.key));
        }
        assert_eq!(named.len(), written.len(), "seed {seed}: each once");
        let all_named = named.iter().all(|key| written.contains(*key));
        assert!(all_named, "seed {seed}");
        let mut held = pages.iter().map(|page| page.held.len());
        assert!(held.by_ref().is_sorted(), "seed {seed}");
    }
    assert!(offered > 150, "only {offered} pages");
}
