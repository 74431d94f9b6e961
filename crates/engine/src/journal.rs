//! The journal: typed reading and writing of a job's documents in object storage.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sluice_model::{
    ChunkId, DOCUMENT_VERSION, JobRecord, JobRef, Manifest, ManifestPage, PlanPage, Receipt,
    Sealed, Tombstone, layout,
};
use sluice_ports::{Blobs, Creation, PortError, PortKind};

/// Tries at one write, for answers that get lost on the way back.
const WRITES: u32 = 3;
/// Keys listed or deleted at a time.
const BATCH: usize = 1000;
/// Receipts read at once.
const READS: usize = 16;

/// All that is read of a document that cannot be read otherwise.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

/// What is wrong with a document is told by its place: serde would repeat a piece of it, and that may be a patient's.
fn unreadable(body: &[u8], action: &'static str, error: &serde_json::Error) -> PortError {
    let (kind, cause) = match serde_json::from_slice(body) {
        Ok(Versioned { v }) if v > DOCUMENT_VERSION => {
            let cause = format!("its version is {v}, and this build reads {DOCUMENT_VERSION}");
            (PortKind::Newer, cause)
        }
        _ => {
            let (line, column) = (error.line(), error.column());
            let what = error.classify();
            let cause = format!("{what:?} error at line {line}, column {column}");
            (PortKind::Unreadable, cause)
        }
    };
    PortError {
        cause: Some(cause.into()),
        ..PortError::new(kind, action)
    }
}

/// Reads and writes the documents of jobs.
#[derive(Clone)]
pub struct Journal {
    blobs: Arc<dyn Blobs>,
}

impl Journal {
    /// The journal in these objects.
    pub fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs }
    }

    /// The job as accepted.
    pub async fn job(&self, job: &JobRef) -> Result<Option<JobRecord>, PortError> {
        self.read(&layout::job_record(job), "reading a job").await
    }

    /// One page of its plan.
    pub async fn page(&self, job: &JobRef, page: u32) -> Result<Option<PlanPage>, PortError> {
        self.read(&layout::plan_page(job, page), "reading a plan page")
            .await
    }

    /// The last page of its plan so far, and its end if that is written.
    pub async fn plan(
        &self,
        job: &JobRef,
    ) -> Result<(Option<PlanPage>, Option<Sealed>), PortError> {
        let sealed = self.sealed(job).await?;
        let last = match &sealed {
            Some(sealed) => sealed.pages,
            None => self.last_page(job).await?,
        };
        let page = if last == 0 {
            None
        } else {
            self.page(job, last).await?
        };
        Ok((page, sealed))
    }

    /// The end of its plan, if that is written.
    pub(crate) async fn sealed(&self, job: &JobRef) -> Result<Option<Sealed>, PortError> {
        let key = layout::sealed(job);
        self.read(&key, "reading the end of a plan").await
    }

    /// Whether the plan has its end.
    pub(crate) async fn is_sealed(&self, job: &JobRef) -> Result<bool, PortError> {
        let end = self.blobs.head(&layout::sealed(job)).await?;
        Ok(end.is_some())
    }

    async fn last_page(&self, job: &JobRef) -> Result<u32, PortError> {
        let (prefix, mut last) = (layout::plan(job), 0);
        loop {
            // Pages have no gaps, so their number is how many there are.
            let after = (last > 0).then(|| layout::plan_page(job, last));
            let listed = self.blobs.list(&prefix, after.as_deref(), BATCH).await?;
            let pages = listed
                .iter()
                .filter(|info| info.key != layout::sealed(job))
                .count();
            last += u32::try_from(pages).unwrap_or(u32::MAX);
            if listed.len() < BATCH {
                return Ok(last);
            }
        }
    }

    /// How a chunk ended, if it has.
    pub async fn receipt(
        &self,
        job: &JobRef,
        chunk: ChunkId,
    ) -> Result<Option<Receipt>, PortError> {
        self.read(&layout::receipt(job, chunk), "reading a receipt")
            .await
    }

    /// The chunks that have ended, in order, after a given one.
    pub async fn ended_chunks(
        &self,
        job: &JobRef,
        after: Option<ChunkId>,
    ) -> Result<Vec<ChunkId>, PortError> {
        let (chunks, _) = self.ended_batch(job, after).await?;
        Ok(chunks)
    }

    /// The same, and whether there are no more after them.
    async fn ended_batch(
        &self,
        job: &JobRef,
        after: Option<ChunkId>,
    ) -> Result<(Vec<ChunkId>, bool), PortError> {
        let after = after.map(|chunk| layout::receipt(job, chunk));
        let listed = self
            .blobs
            .list(&layout::receipts(job), after.as_deref(), BATCH)
            .await?;
        let chunks = listed
            .iter()
            .filter_map(|info| layout::receipt_chunk(&info.key));
        Ok((chunks.collect(), listed.len() < BATCH))
    }

    /// How many of the first chunks of a plan have all ended.
    pub(crate) async fn ended_in_a_row(&self, job: &JobRef) -> Result<u32, PortError> {
        let (mut row, mut after) = (0, None);
        loop {
            let chunks = self.ended_chunks(job, after).await?;
            for chunk in &chunks {
                if chunk.ordinal() != row {
                    return Ok(row);
                }
                row += 1;
            }
            match chunks.last() {
                Some(last) => after = Some(*last),
                None => return Ok(row),
            }
        }
    }

    /// How each chunk ended that has and that is wanted, in plan order.
    pub fn receipts<'j>(
        &'j self,
        job: &'j JobRef,
        is_wanted: impl Fn(ChunkId) -> bool + 'j,
    ) -> impl Stream<Item = Result<Receipt, PortError>> + 'j {
        let batches = futures::stream::try_unfold(Some(None), move |after| async move {
            let Some(after) = after else { return Ok(None) };
            let (chunks, is_last) = self.ended_batch(job, after).await?;
            let next = chunks.last().copied().filter(|_| !is_last).map(Some);
            Ok::<_, PortError>(Some((chunks, next)))
        });
        let chunks = batches.map_ok(|chunks| futures::stream::iter(chunks).map(Ok));
        let wanted = chunks
            .try_flatten()
            .try_filter(move |chunk| ready(is_wanted(*chunk)));
        let reads = wanted.map_ok(move |chunk| self.receipt(job, chunk));
        reads
            .try_buffered(READS)
            .try_filter_map(|receipt| ready(Ok(receipt)))
    }

    /// The manifest, if the job has ended.
    pub async fn manifest(&self, job: &JobRef) -> Result<Option<Manifest>, PortError> {
        self.read(&layout::manifest(job), "reading a manifest")
            .await
    }

    /// One page of what is offered while the job runs, or the end of them.
    pub async fn manifest_page(
        &self,
        job: &JobRef,
        page: u32,
    ) -> Result<Option<ManifestPage>, PortError> {
        let key = layout::manifest_page(job, page);
        self.read(&key, "reading a page of a manifest").await
    }

    /// The last of these pages so far, or the end of them.
    pub async fn last_manifest_page(
        &self,
        job: &JobRef,
    ) -> Result<Option<ManifestPage>, PortError> {
        // Pages have no gaps, and are far fewer than that.
        let prefix = layout::manifest_pages(job);
        let listed = self.blobs.list(&prefix, None, BATCH).await?;
        match u32::try_from(listed.len()).unwrap_or(u32::MAX) {
            0 => Ok(None),
            last => self.manifest_page(job, last).await,
        }
    }

    /// The tombstone, if the job was withdrawn.
    pub async fn tombstone(&self, job: &JobRef) -> Result<Option<Tombstone>, PortError> {
        self.read(&layout::cancel(job), "reading a tombstone").await
    }

    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        action: &'static str,
    ) -> Result<Option<T>, PortError> {
        let Some(body) = self.blobs.get(key).await? else {
            return Ok(None);
        };
        match serde_json::from_slice(&body) {
            Ok(document) => Ok(Some(document)),
            Err(error) => Err(unreadable(&body, action, &error)),
        }
    }

    /// Writes a document unless there is one, and says whether the one there is this one: a first
    /// try may have arrived although its answer did not (F5 of the fault matrix).
    pub async fn create<T: Serialize + Sync>(
        &self,
        key: &str,
        document: &T,
    ) -> Result<Creation, PortError> {
        let body = serde_json::to_vec(document)
            .map_err(|error| PortError::permanent("writing a document", error))?;
        self.create_whole(key, body.into()).await
    }

    /// The same for what is a text already.
    pub(crate) async fn create_whole(&self, key: &str, body: Bytes) -> Result<Creation, PortError> {
        let mut tries = 1;
        loop {
            match self.blobs.create(key, body.clone()).await {
                Ok(Creation::Created) => return Ok(Creation::Created),
                Ok(Creation::Exists) => break,
                Err(error) if error.is_transient() && tries < WRITES => tries += 1,
                Err(error) => return Err(error),
            }
        }
        if tries == 1 {
            return Ok(Creation::Exists);
        }
        let there = self.blobs.get(key).await?;
        Ok(if there.is_some_and(|there| there == body) {
            Creation::Created
        } else {
            Creation::Exists
        })
    }

    /// Deletes every object below a prefix.
    pub async fn delete_below(&self, prefix: &str) -> Result<(), PortError> {
        loop {
            let listed = self.blobs.list(prefix, None, BATCH).await?;
            if listed.is_empty() {
                return Ok(());
            }
            let keys: Vec<String> = listed.into_iter().map(|info| info.key).collect();
            self.blobs.delete(&keys).await?;
        }
    }

    /// Deletes every object below a prefix but those to keep; says how many.
    pub async fn delete_below_unless(
        &self,
        prefix: &str,
        keep: impl Fn(&str) -> bool,
    ) -> Result<usize, PortError> {
        let (mut after, mut deleted) = (None, 0);
        loop {
            let listed = self.blobs.list(prefix, after.as_deref(), BATCH).await?;
            let Some(last) = listed.last() else {
                return Ok(deleted);
            };
            after = Some(last.key.clone());
            let keys = listed.into_iter().map(|info| info.key);
            let keys: Vec<String> = keys.filter(|key| !keep(key)).collect();
            if !keys.is_empty() {
                deleted += keys.len();
                self.blobs.delete(&keys).await?;
            }
        }
    }

    /// Deletes one object.
    pub async fn delete(&self, key: String) -> Result<(), PortError> {
        self.blobs.delete(&[key]).await
    }

    /// The names of what lies directly below a prefix.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        self.blobs.folders(prefix).await
    }
}
