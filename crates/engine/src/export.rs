//! Step 4. Exports one chunk: reads its slice, writes its files, and commits with a receipt.

mod give_up;
mod keeping;
mod organized;
mod reading;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use sluice_fhir::Issue;
use sluice_model::{
    AttemptId, ChunkId, Hint, JobRecord, JobRef, Notes, NotesOf, PlannedChunk, Receipt, Version,
    Work, WrittenFile, layout,
};
use sluice_ports::{Creation, Lease, Message, PortError, PortKind, Settle};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument;

use crate::chunk_files::{ChunkFiles, FileForm};
use crate::metrics::ChunkOutcome;
use crate::{Journal, Ports, Tenant, Tenants};

const PANICKED: &str = "exporting a chunk without a panic";

/// How long and how often.
#[derive(Clone, Debug)]
pub struct ExportLimits {
    /// A chunk that is not done by then is tried again.
    pub deadline: Duration,
    /// How long a silent worker keeps its chunk.
    pub lease: Duration,
    /// Between two notes of progress.
    pub progress_every: Duration,
    /// Waits between tries; after the last try the chunk is given up.
    pub retries: Vec<Duration>,
}

impl Default for ExportLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_mins(20),
            lease: Duration::from_secs(30),
            progress_every: Duration::from_millis(500),
            retries: [1, 5, 30, 120].map(Duration::from_secs).to_vec(),
        }
    }
}

/// Exports chunks.
#[derive(Clone)]
pub struct Export {
    ports: Ports,
    journal: Journal,
    tenants: Tenants,
    limits: ExportLimits,
}

/// A chunk with everything needed to export it.
struct Task<'a> {
    record: JobRecord,
    tenant: &'a Tenant,
    chunk: ChunkId,
    planned: PlannedChunk,
    /// Chunks before which all earlier ones have ended.
    barriers: Vec<u32>,
    /// Absent when the index could not be asked for one.
    lease: Mutex<Option<Lease>>,
}

/// What becomes of a chunk beside its files.
#[derive(Default)]
struct Beside {
    /// What its source told.
    told: Vec<Issue>,
    /// What it noted for chunks that wait for it.
    notes: Option<(NotesOf, Bytes)>,
}

/// What is there of a chunk when it has been written.
struct Written {
    files: Vec<WrittenFile>,
    notes: Option<Notes>,
    issues: Vec<Issue>,
}

impl Export {
    /// Exports chunks of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants, limits: ExportLimits) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            tenants: tenants.clone(),
            limits,
        }
    }

    /// Does what a hint asks for, and says what to do with the hint.
    pub async fn run(&self, hint: Hint, attempt: u32) -> Settle {
        let Hint::ExportChunk(job, chunk) = hint else {
            return Settle::DeadLetter;
        };
        let begun = Instant::now();
        let (outcome, settle) = match self.export(&job, chunk).await {
            Ok(outcome) => (outcome, Settle::Ack),
            Err(error) => self.retry_or_give_up(&job, chunk, attempt, error).await,
        };
        let took = begun.elapsed();
        self.ports.metrics.chunk_tried(outcome, attempt, took);
        settle
    }

    async fn export(&self, job: &JobRef, chunk: ChunkId) -> Result<ChunkOutcome, PortError> {
        let journal = &self.journal;
        // Asked for at once, for each is a round trip; taken one after another.
        let (record, tombstone, receipt, page) = tokio::join!(
            journal.job(job),
            journal.tombstone(job),
            journal.receipt(job, chunk),
            journal.page(job, chunk.page),
        );
        let Some(record) = record? else {
            return Ok(ChunkOutcome::Pointless);
        };
        if tombstone?.is_some() {
            return Ok(ChunkOutcome::Pointless);
        }
        if let Some(receipt) = receipt? {
            self.report(&record, &receipt).await;
            return Ok(ChunkOutcome::Pointless);
        }
        let page = page?.ok_or_else(|| missing("finding a chunk's plan"))?;
        let planned = page.chunk(chunk).cloned();
        let planned = planned.ok_or_else(|| missing("finding a chunk in its plan"))?;
        let tenant = self.tenants.get(&job.tenant);
        let tenant = tenant.ok_or_else(|| missing("finding a chunk's tenant"))?;
        let name = format!("chunk/{job}/{chunk}");
        let lease = match self.ports.index.lease(&name, self.limits.lease).await {
            Ok(Some(lease)) => Some(lease),
            // Someone is at it. Should they fail, the chunk goes stale and is handed out again.
            Ok(None) => return Ok(ChunkOutcome::Pointless),
            // It would save work; the receipt alone decides (rule 7, E1).
            Err(error) => {
                tracing::warn!(%job, %chunk, error = error.chain(), "a chunk is exported without a lease");
                None
            }
        };
        let task = Task {
            record,
            tenant,
            chunk,
            planned,
            barriers: page.barriers,
            lease: Mutex::new(lease),
        };
        // A panic is a failed try like any other, and must not keep the lease (C11).
        let work = AssertUnwindSafe(self.write_and_commit(&task)).catch_unwind();
        let panicked = |_| Err(PortError::new(PortKind::Transient, PANICKED));
        let done = work.await.unwrap_or_else(panicked);
        if let Some(lease) = task.lease.into_inner() {
            let _runs_out_anyway = self.ports.index.release(&lease).await;
        }
        done
    }

    async fn write_and_commit(&self, task: &Task<'_>) -> Result<ChunkOutcome, PortError> {
        let job = &task.record.name;
        let mut id = [0; 8];
        self.ports.entropy.fill(&mut id)?;
        let attempt = AttemptId::from_bytes(id);
        let form = FileForm {
            limit: task.record.form.file_bytes(task.tenant.policy.file_bytes),
            strict: task.record.form.maximum_file.is_some(),
            gzip: task.tenant.policy.gzip,
        };
        let folder = layout::attempt(job, task.chunk, attempt);
        let notes_key = layout::notes(&folder);
        let mut files = ChunkFiles::new(self.ports.blobs.clone(), folder, form);
        let mut beside = Beside::default();
        let write = async {
            match task.planned.work {
                Work::Organize => self.organize(task, &mut files, &mut beside.told).await,
                _ => self.write(task, &mut files, &mut beside).await,
            }
        };
        let written = match tokio::time::timeout(self.limits.deadline, write).await {
            Ok(written) => written,
            Err(late) => Err(PortError::transient("exporting a chunk in time", late)),
        };
        let finished = match written {
            Ok(true) => self
                .put_down(&mut files, &mut beside, notes_key)
                .await
                .map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        // Once a receipt may be on its way the files stay, even if nothing was heard of it: what
        // no receipt names goes with the job.
        let committed = match finished {
            Ok(Some((files, notes))) => {
                let written = Written {
                    files,
                    notes,
                    issues: beside.told,
                };
                self.commit(task, attempt, written).await
            }
            Ok(None) => Ok(ChunkOutcome::Pointless),
            Err(error) => {
                let _goes_with_the_job = files.discard().await;
                return Err(error);
            }
        };
        if !matches!(committed, Ok(ChunkOutcome::Done) | Err(_)) {
            let _goes_with_the_job = files.discard().await;
        }
        committed
    }

    /// Ends the files, and writes the notes beside them.
    async fn put_down(
        &self,
        files: &mut ChunkFiles,
        beside: &mut Beside,
        key: String,
    ) -> Result<(Vec<WrittenFile>, Option<Notes>), PortError> {
        let written = files.finish().await?;
        let Some((of, bytes)) = beside.notes.take() else {
            return Ok((written, None));
        };
        let mut writer = self.ports.blobs.start(&key).await?;
        writer.write(bytes).await?;
        // Nobody else has this attempt's name.
        writer.finish().await?;
        Ok((written, Some(Notes { key, of })))
    }

    /// The first receipt wins; it may be another worker's.
    async fn commit(
        &self,
        task: &Task<'_>,
        attempt: AttemptId,
        written: Written,
    ) -> Result<ChunkOutcome, PortError> {
        let (files, deleted) = if task.planned.slice.deleted {
            (Vec::new(), written.files)
        } else {
            (written.files, Vec::new())
        };
        let planned = &task.planned;
        let is_more = planned.work == Work::Organize;
        let receipt = Receipt {
            v: Version::lowest(written.notes.is_none() && !is_more),
            chunk: task.chunk,
            attempt,
            files,
            deleted,
            issues: written.issues,
            notes: written.notes,
            planned_bytes: is_more.then_some(planned.expected.bytes),
            failure: None,
        };
        let job = &task.record.name;
        let key = layout::receipt(job, task.chunk);
        let span = tracing::info_span!("commit receipt", files = receipt.files.len());
        let created = self.journal.create(&key, &receipt).instrument(span).await?;
        if created == Creation::Exists {
            return Ok(ChunkOutcome::Conflict);
        }
        self.ports.metrics.committed(&receipt);
        self.report(&task.record, &receipt).await;
        let (chunk, files) = (task.chunk, receipt.files.len());
        tracing::debug!(%job, %chunk, files, "chunk exported");
        Ok(ChunkOutcome::Done)
    }

    /// Marks the chunk done and hints that something may be due. Neither must succeed, for the
    /// receipt is written: a chunk whose mark is lost goes stale, is handed out again, and comes
    /// straight here.
    async fn report(&self, record: &JobRecord, receipt: &Receipt) {
        let job = &record.name;
        let told = match self.mark(job, receipt).await {
            Ok(()) => {
                let message = Message {
                    hint: Hint::AdvanceJob(job.clone()),
                    traceparent: record.traceparent.clone(),
                };
                self.ports.send(message).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            let chunk = receipt.chunk;
            tracing::warn!(%job, %chunk, error = error.chain(), "a finished chunk waits for the sweep");
        }
    }

    async fn mark(&self, job: &JobRef, receipt: &Receipt) -> Result<(), PortError> {
        let (index, chunk) = (&self.ports.index, receipt.chunk.ordinal());
        // First: once it is done, nobody comes back to it.
        if receipt.failure.is_some() {
            index.chunk_failed(job, chunk).await?;
        }
        index.chunk_done(job, chunk, receipt.tally()).await?;
        Ok(())
    }
}

fn missing(action: &str) -> PortError {
    PortError::new(PortKind::Permanent, action)
}
