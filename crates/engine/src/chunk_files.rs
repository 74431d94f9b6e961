//! Writes the blocks of a chunk to files: one type a file, ended between lines once large enough,
//! counted and hashed as written, and packed if the tenant wants that.

mod blocks;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use sluice_fhir::ResourceType;
use sluice_model::{Packed, WrittenFile, layout};
use sluice_ports::{BlobWriter, Blobs, Block, Creation, PortError, PortKind};
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

/// Fast, because a worker should not wait for its processor; NDJSON packs well all the same.
const LEVEL: u32 = 1;

/// A file of no more bytes is published while the next one is written already, and so many of them at once: a chunk of
/// small types would else wait for each. They are what a chunk may hold beside the parts of its open file, 8 MiB.
const SMALL: u64 = 1 << 20;
const ENDING: usize = 4;
/// How long the removal of files waits for those that are on their way.
const PATIENCE: Duration = Duration::from_secs(30);
const PUBLISHING: &str = "publishing a data file";

/// How files are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileForm {
    /// Bytes of NDJSON after which a file ends at the next line.
    pub(crate) limit: u64,
    /// Whether the limit was asked for, so that a line whose length is not known yet begins a file of its own.
    pub(crate) strict: bool,
    /// Whether they are stored as gzip.
    pub(crate) gzip: bool,
}

/// Files of one try at a chunk.
pub(crate) struct ChunkFiles {
    blobs: Arc<dyn Blobs>,
    /// Where they go.
    folder: String,
    form: FileForm,
    open: Option<OpenFile>,
    /// Files begun, by type.
    begun: BTreeMap<ResourceType, u32>,
    /// Those that have ended; the last of them may be on their way still.
    finished: Vec<WrittenFile>,
    ending: JoinSet<Result<Creation, PortError>>,
    resources: u64,
}

struct OpenFile {
    writer: Box<dyn BlobWriter>,
    file: WrittenFile,
    digesting: Digesting,
    /// Bytes at its beginning after which it may not end.
    begins: u64,
    between_lines: bool,
    /// From the first byte until it is there, as a trace shows it.
    span: Span,
}

/// What another thread does with each block.
struct Digesting {
    hash: Sha256,
    packing: Option<Packing>,
}

struct Packing {
    encoder: GzEncoder<Vec<u8>>,
    hash: Sha256,
    bytes: u64,
}

/// What came of a block.
struct Digested {
    digesting: Digesting,
    lines: u64,
    /// What is to be stored instead of the block.
    packed: Option<Bytes>,
}

impl Digesting {
    fn new(gzip: bool) -> Self {
        Self {
            hash: Sha256::new(),
            packing: gzip.then(|| Packing {
                encoder: GzEncoder::new(Vec::new(), Compression::new(LEVEL)),
                hash: Sha256::new(),
                bytes: 0,
            }),
        }
    }

    fn block(mut self, bytes: &Bytes) -> std::io::Result<Digested> {
        self.hash.update(bytes);
        let lines = memchr::memchr_iter(b'\n', bytes).count();
        let packed = match &mut self.packing {
            Some(packing) => {
                packing.encoder.write_all(bytes)?;
                let packed = std::mem::take(packing.encoder.get_mut());
                Some(packing.see(packed))
            }
            None => None,
        };
        Ok(Digested {
            digesting: self,
            lines: u64::try_from(lines).unwrap_or(u64::MAX),
            packed,
        })
    }
}

impl Packing {
    fn see(&mut self, packed: Vec<u8>) -> Bytes {
        self.hash.update(&packed);
        let packed = Bytes::from(packed);
        self.bytes += length(&packed);
        packed
    }

    /// The last of it, and what all of it amounts to.
    fn finish(mut self) -> std::io::Result<(Bytes, Packed)> {
        let end = std::mem::replace(
            &mut self.encoder,
            GzEncoder::new(Vec::new(), Compression::none()),
        );
        let end = self.see(end.finish()?);
        let packed = Packed {
            bytes: self.bytes,
            sha256: hex::encode(self.hash.finalize()),
        };
        Ok((end, packed))
    }
}

impl ChunkFiles {
    /// Files in a folder of their own, whose name ends in a slash.
    pub(crate) fn new(blobs: Arc<dyn Blobs>, folder: String, form: FileForm) -> Self {
        Self {
            blobs,
            folder,
            form,
            open: None,
            begun: BTreeMap::new(),
            finished: Vec::new(),
            ending: JoinSet::new(),
            resources: 0,
        }
    }

    /// Resources written so far. Bundles of deletions are none.
    pub(crate) fn resources(&self) -> u64 {
        self.resources
    }

    /// Adds a block to the file of its type, and to further ones if it does not fit.
    pub(crate) async fn add(&mut self, block: Block) -> Result<(), PortError> {
        let (kind, mut rest, mut lines) = (block.kind, block.bytes, 0);
        while !rest.is_empty() {
            let piece = match &self.open {
                Some(open) => open.piece(kind, &rest, self.form),
                None => first_piece(&rest, self.form.limit),
            };
            if piece == 0 {
                self.close().await?;
                continue;
            }
            if self.open.is_none() {
                self.open = Some(self.begin(kind).await?);
            }
            if let Some(open) = self.open.as_mut() {
                lines += open.write(rest.split_to(piece)).await?;
            }
        }
        if lines != block.lines {
            return Err(broken("counting the lines that a source yielded"));
        }
        let is_deleted = kind == ResourceType::BUNDLE;
        self.resources += if is_deleted { 0 } else { lines };
        Ok(())
    }

    /// Publishes the last file and lists them all.
    pub(crate) async fn finish(&mut self) -> Result<Vec<WrittenFile>, PortError> {
        self.close().await?;
        while !self.ending.is_empty() {
            self.ended().await?;
        }
        Ok(self.finished.clone())
    }

    /// Removes everything again.
    pub(crate) async fn discard(mut self) -> Result<(), PortError> {
        let aborted = match self.open.take() {
            Some(open) => open.writer.abort().await,
            None => Ok(()),
        };
        // One that is on its way could arrive behind the deletion; it goes with the job then.
        let landed = async { while self.ending.join_next().await.is_some() {} };
        let _as_many_as_could = tokio::time::timeout(PATIENCE, landed).await;
        let keys: Vec<String> = self.finished.into_iter().map(|file| file.key).collect();
        self.blobs.delete(&keys).await?;
        aborted
    }

    async fn begin(&mut self, kind: ResourceType) -> Result<OpenFile, PortError> {
        let n = self.begun.entry(kind).or_default();
        *n += 1;
        let key = layout::data_file(&self.folder, kind, *n, self.form.gzip);
        let file = WrittenFile {
            kind,
            count: 0,
            bytes: 0,
            sha256: String::new(),
            gzip: None,
            severities: Vec::new(),
            continues_in: None,
            key,
        };
        let span = tracing::info_span!(
            "write file",
            r#type = kind.name(),
            number = *n,
            resources = tracing::field::Empty,
            bytes = tracing::field::Empty
        );
        let writer = self.blobs.start(&file.key).instrument(span.clone());
        Ok(OpenFile {
            writer: writer.await?,
            span,
            file,
            digesting: Digesting::new(self.form.gzip),
            begins: 0,
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
        open.file.sha256 = hex::encode(open.digesting.hash.finalize());
        if let Some(packing) = open.digesting.packing {
            let packed = tokio::task::spawn_blocking(move || packing.finish()).await;
            let (end, packed) = packed.map_err(broken_off)?.map_err(broken_off)?;
            open.writer.write(end).await?;
            open.file.gzip = Some(packed);
        }
        open.span.record("resources", open.file.count);
        open.span.record("bytes", open.file.bytes);
        // Small ones are on their way while the next is written.
        let at_once = if open.file.bytes <= SMALL { ENDING } else { 1 };
        self.finished.push(open.file);
        self.ending
            .spawn(open.writer.finish().instrument(open.span));
        while self.ending.len() >= at_once {
            self.ended().await?;
        }
        Ok(())
    }

    /// Waits for one that is on its way.
    async fn ended(&mut self) -> Result<(), PortError> {
        let Some(ended) = self.ending.join_next().await else {
            return Ok(());
        };
        let lost = |error| PortError::transient(PUBLISHING, error);
        match ended.map_err(lost)?? {
            Creation::Created => Ok(()),
            // Nobody else has this attempt's name, so this is a write whose answer got lost.
            Creation::Exists => Err(PortError::new(PortKind::Transient, PUBLISHING)),
        }
    }
}

impl OpenFile {
    /// How many of these bytes go into it: whole lines up to the limit, or the rest of one that has begun.
    fn piece(&self, kind: ResourceType, bytes: &Bytes, form: FileForm) -> usize {
        if !self.between_lines {
            return memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        }
        if self.file.kind != kind {
            return 0;
        }
        if self.file.bytes == self.begins {
            return first_piece(bytes, form.limit.saturating_sub(self.begins));
        }
        if form.strict && bytes.last() != Some(&b'\n') {
            return 0;
        }
        whole_lines(bytes, form.limit.saturating_sub(self.file.bytes))
    }

    /// Another thread counts, hashes and packs; a plain block is written meanwhile.
    async fn write(&mut self, bytes: Bytes) -> Result<u64, PortError> {
        let (digesting, block) = (
            std::mem::replace(&mut self.digesting, Digesting::new(false)),
            bytes.clone(),
        );
        let is_plain = digesting.packing.is_none();
        self.between_lines = bytes.last() == Some(&b'\n');
        self.file.bytes += length(&bytes);
        let work = tokio::task::spawn_blocking(move || digesting.block(&block));
        let digested = if is_plain {
            let (written, digested) = tokio::join!(self.writer.write(bytes), work);
            written?;
            digested
        } else {
            work.await
        };
        let digested = digested.map_err(broken_off)?.map_err(broken_off)?;
        if let Some(packed) = digested.packed.filter(|packed| !packed.is_empty()) {
            self.writer.write(packed).await?;
        }
        self.digesting = digested.digesting;
        self.file.count += digested.lines;
        Ok(digested.lines)
    }
}

/// Bytes of the lines that fit into so much room; all of it, if it is the beginning of a longer line that does.
fn whole_lines(bytes: &Bytes, room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    match bytes.get(..room) {
        None => bytes.len(),
        Some(fits) => memchr::memrchr(b'\n', fits).map_or(0, |end| end + 1),
    }
}

/// Bytes that a new file begins with: one line at least, however long it is.
fn first_piece(bytes: &Bytes, limit: u64) -> usize {
    match whole_lines(bytes, limit) {
        0 => memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1),
        piece => piece,
    }
}

fn broken_off(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::transient("hashing and packing a block", error)
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn broken(action: &str) -> PortError {
    PortError::new(PortKind::Permanent, action)
}
