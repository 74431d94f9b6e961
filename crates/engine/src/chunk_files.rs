//! Writes the blocks of a chunk to files: one type a file, ended between lines once large enough,
//! counted and hashed as written.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sluice_fhir::ResourceType;
use sluice_model::{AttemptId, ChunkId, JobRef, Tally, WrittenFile, layout};
use sluice_ports::{BlobWriter, Blobs, Block, Creation, PortError, PortKind};

/// Files of one try at a chunk.
pub(crate) struct ChunkFiles {
    blobs: Arc<dyn Blobs>,
    job: JobRef,
    chunk: ChunkId,
    attempt: AttemptId,
    limit: u64,
    open: Option<OpenFile>,
    /// Files begun, by type.
    begun: BTreeMap<ResourceType, u32>,
    finished: Vec<WrittenFile>,
    tally: Tally,
}

struct OpenFile {
    writer: Box<dyn BlobWriter>,
    file: WrittenFile,
    hash: Sha256,
    between_lines: bool,
}

impl ChunkFiles {
    pub(crate) fn new(
        blobs: Arc<dyn Blobs>,
        (job, chunk, attempt): (&JobRef, ChunkId, AttemptId),
        limit: u64,
    ) -> Self {
        Self {
            blobs,
            job: job.clone(),
            chunk,
            attempt,
            limit,
            open: None,
            begun: BTreeMap::new(),
            finished: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// What was written so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Adds a block to the file of its type.
    pub(crate) async fn add(&mut self, block: Block) -> Result<(), PortError> {
        let bytes = length(&block.bytes);
        if self
            .open
            .as_ref()
            .is_some_and(|open| !open.takes(&block, self.limit))
        {
            self.close().await?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(block.kind).await?);
        }
        let Some(open) = self.open.as_mut() else {
            return Ok(());
        };
        let lines = open.write(block.bytes).await?;
        if lines != block.lines {
            return Err(broken("counting the lines that a source yielded"));
        }
        self.tally += Tally {
            resources: lines,
            bytes,
        };
        Ok(())
    }

    /// Publishes the last file and lists them all.
    pub(crate) async fn finish(&mut self) -> Result<Vec<WrittenFile>, PortError> {
        self.close().await?;
        Ok(self.finished.clone())
    }

    /// Removes everything again.
    pub(crate) async fn discard(mut self) -> Result<(), PortError> {
        if let Some(open) = self.open.take() {
            open.writer.abort().await?;
        }
        let keys: Vec<String> = self.finished.into_iter().map(|file| file.key).collect();
        self.blobs.delete(&keys).await
    }

    async fn begin(&mut self, kind: ResourceType) -> Result<OpenFile, PortError> {
        let n = self.begun.entry(kind).or_default();
        *n += 1;
        let key = layout::data_file(&self.job, self.chunk, self.attempt, kind, *n);
        let file = WrittenFile {
            kind,
            count: 0,
            bytes: 0,
            sha256: String::new(),
            key,
        };
        Ok(OpenFile {
            writer: self.blobs.start(&file.key).await?,
            file,
            hash: Sha256::new(),
            between_lines: true,
        })
    }

    async fn close(&mut self) -> Result<(), PortError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        if !open.between_lines {
            open.writer.abort().await?;
            return Err(broken("ending a file in the middle of a line"));
        }
        open.file.sha256 = hex::encode(open.hash.finalize());
        match open.writer.finish().await? {
            Creation::Created => {
                self.finished.push(open.file);
                Ok(())
            }
            // Nobody else has this attempt's name, so this is a write whose answer got lost.
            Creation::Exists => Err(PortError::new(
                PortKind::Transient,
                "publishing a data file",
            )),
        }
    }
}

impl OpenFile {
    fn takes(&self, block: &Block, limit: u64) -> bool {
        let fits = self.file.bytes + length(&block.bytes) <= limit;
        self.file.kind == block.kind && (fits || !self.between_lines)
    }

    /// Writes while another thread counts and hashes.
    async fn write(&mut self, bytes: Bytes) -> Result<u64, PortError> {
        let (mut hash, counted) = (std::mem::take(&mut self.hash), bytes.clone());
        let count = tokio::task::spawn_blocking(move || {
            hash.update(&counted);
            (memchr::memchr_iter(b'\n', &counted).count(), hash)
        });
        self.between_lines = bytes.last() == Some(&b'\n');
        self.file.bytes += length(&bytes);
        let (written, counted) = tokio::join!(self.writer.write(bytes), count);
        written?;
        let (lines, hash) =
            counted.map_err(|error| PortError::transient("hashing a block", error))?;
        self.hash = hash;
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        self.file.count += lines;
        Ok(lines)
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn broken(action: &str) -> PortError {
    PortError::new(PortKind::Permanent, action)
}
