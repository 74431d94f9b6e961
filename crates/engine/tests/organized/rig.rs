//! One site that runs a job to its end, and a reader of what it wrote.

use std::sync::Arc;

use futures::TryStreamExt;
use sluice_engine::{
    Advance, AdvanceLimits, Export, ExportLimits, Journal, Metrics, Policy, Ports, Tenant, Tenants,
};
use sluice_fhir::{Instant, Level, ResourceType};
use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::{
    Form, JobId, JobRecord, JobRef, JobState, Lane, Manifest, Scope, Selection, Snapshot, Version,
    layout,
};
use sluice_ports::{Blobs, Clock, Source};
use sluice_testkit::{PausedClock, SeededEntropy};

/// How a job is asked for and cut.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) level: Level,
    pub(crate) types: Vec<ResourceType>,
    pub(crate) since: Option<Instant>,
    pub(crate) selection: Selection,
    pub(crate) chunk_bytes: u64,
    pub(crate) file_bytes: u64,
    pub(crate) maximum_file: Option<u64>,
    pub(crate) gzip: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            level: Level::Patient,
            types: types("Observation,Patient"),
            since: None,
            selection: Selection::default(),
            chunk_bytes: 200,
            file_bytes: 600,
            maximum_file: None,
            gzip: false,
        }
    }
}

pub(crate) fn types(names: &str) -> Vec<ResourceType> {
    names.split(',').map(|name| name.parse().unwrap()).collect()
}

/// A job that has ended.
pub(crate) struct Done {
    pub(crate) manifest: Manifest,
    pub(crate) journal: Journal,
    pub(crate) job: JobRef,
    blobs: Arc<dyn Blobs>,
}

/// Lines of a file, and of what file they go on.
pub(crate) struct File {
    pub(crate) key: String,
    pub(crate) lines: Vec<String>,
    pub(crate) continues_in: Option<String>,
}

/// A block, and the files that it is in.
#[derive(Clone, Debug)]
pub(crate) struct FoundBlock {
    pub(crate) header: String,
    pub(crate) lines: Vec<String>,
    pub(crate) files: Vec<String>,
}

impl FoundBlock {
    /// Bytes of it in one file.
    pub(crate) fn bytes(&self) -> usize {
        let lines = self.lines.iter().map(|line| line.len() + 1);
        self.header.len() + 1 + lines.sum::<usize>()
    }
}

/// Runs a job over a source to its end.
pub(crate) async fn run(source: impl Source + 'static, asked: &Asked) -> Done {
    let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
    let clock = Arc::new(PausedClock::default());
    let ports = Ports {
        blobs: blobs.clone(),
        index: Arc::new(MemoryIndex::new(clock.clone())),
        queue: Arc::new(MemoryQueue::default()),
        clock: clock.clone(),
        entropy: Arc::new(SeededEntropy::new(1)),
        metrics: Metrics::default(),
    };
    let snapshot = source.snapshot().await.unwrap();
    let tenant = Tenant {
        source: Arc::new(source),
        policy: Policy {
            chunk_bytes: asked.chunk_bytes,
            file_bytes: asked.file_bytes,
            gzip: asked.gzip,
            ..Policy::default()
        },
        access: Arc::default(),
    };
    let tenants: Tenants = [("one".parse().unwrap(), tenant)].into_iter().collect();
    let (journal, record) = (Journal::new(blobs.clone()), record(&clock, snapshot, asked));
    let job = record.name.clone();
    let key = layout::job_record(&job);
    journal.create(&key, &record).await.unwrap();
    let advance = Advance::new(&ports, &tenants, AdvanceLimits::default());
    let export = Export::new(&ports, &tenants, ExportLimits::default());
    loop {
        advance.advance(&job).await.unwrap();
        let status = ports.index.get(&job).await.unwrap();
        if status.is_some_and(|status| !status.state.is_running()) {
            break;
        }
        while ports.queue.waiting(Lane::Chunks).await.unwrap() > 0 {
            let delivery = ports.queue.receive(Lane::Chunks).await.unwrap();
            let settle = export.run(delivery.hint().clone(), 0).await;
            delivery.settle(settle).await.unwrap();
        }
    }
    let status = ports.index.get(&job).await.unwrap().unwrap();
    if status.state == JobState::Complete {
        let (came, planned) = (status.tally.bytes, status.planned.expected.bytes);
        assert_eq!(came, planned, "progress is counted in what was planned");
    }
    Done {
        manifest: journal.manifest(&job).await.unwrap().unwrap(),
        journal,
        job,
        blobs,
    }
}

fn record(clock: &PausedClock, snapshot: Snapshot, asked: &Asked) -> JobRecord {
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
            selection: asked.selection.clone(),
            level: asked.level.clone(),
            types: asked.types.clone(),
            since: asked.since,
            until: None,
            patients: None,
            snapshot,
        },
        form: Form {
            organize: Some(ResourceType::PATIENT),
            maximum_file: asked.maximum_file,
            ..Form::default()
        },
        ignored: Vec::new(),
        claims: Vec::new(),
        traceparent: None,
        accepted_at: now,
    }
}

impl Done {
    /// The data files, each checked against its entry.
    pub(crate) async fn files(&self) -> Vec<File> {
        assert!(self.manifest.failure.is_none(), "the export failed");
        let mut files = Vec::new();
        for file in &self.manifest.output {
            let stored = file.gzip.as_ref().map_or(file.bytes, |packed| packed.bytes);
            let stream = self.blobs.read(&file.key, 0..stored).await.unwrap();
            let parts: Vec<_> = stream.try_collect().await.unwrap();
            let mut bytes = parts.concat();
            if file.gzip.is_some() {
                let mut plain = Vec::new();
                let mut reader = flate2::read::GzDecoder::new(&bytes[..]);
                std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
                bytes = plain;
            }
            assert_eq!(u64::try_from(bytes.len()).unwrap(), file.bytes);
            let text = String::from_utf8(bytes).unwrap();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            assert_eq!(u64::try_from(lines.len()).unwrap(), file.count);
            files.push(File {
                key: file.key.clone(),
                lines,
                continues_in: file.continues_in.clone(),
            });
        }
        files
    }

    /// The blocks of all files, those that go on put together (R-195).
    pub(crate) async fn blocks(&self) -> Vec<FoundBlock> {
        let mut blocks: Vec<FoundBlock> = Vec::new();
        let mut goes_on: Option<String> = None;
        for file in self.files().await {
            let mut lines = file.lines.into_iter();
            if let Some(next) = goes_on.take() {
                assert_eq!(next, file.key, "R-195: it goes on in the next file");
                let block = blocks.last_mut().unwrap();
                assert_eq!(lines.next().as_ref(), Some(&block.header), "R-195");
                block.files.push(file.key.clone());
            } else {
                let first = lines.as_slice().first();
                assert!(first.is_some_and(|line| is_header(line)), "R-192");
            }
            for line in lines {
                if is_header(&line) {
                    blocks.push(FoundBlock {
                        header: line,
                        lines: Vec::new(),
                        files: vec![file.key.clone()],
                    });
                } else {
                    blocks.last_mut().unwrap().lines.push(line);
                }
            }
            goes_on = file.continues_in;
        }
        assert_eq!(goes_on, None, "R-195: what goes on is there");
        blocks
    }
}

fn is_header(line: &str) -> bool {
    line.starts_with(r#"{"resourceType":"Parameters""#)
}
