//! Writes the blocks of a chunk to files: one type a file, ended between lines once large enough,
//! counted and hashed as written, and packed if the tenant wants that.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use sluice_fhir::ResourceType;
use sluice_model::{Packed, Tally, WrittenFile, layout};
use sluice_ports::{BlobWriter, Blobs, Block, Creation, PortError, PortKind};

/// Fast, because a worker should not wait for its processor; NDJSON packs well all the same.
const LEVEL: u32 = 1;

/// How files are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileForm {
    /// Bytes of NDJSON after which a file ends at the next line.
    pub(crate) limit: u64,
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
    finished: Vec<WrittenFile>,
    tally: Tally,
}

struct OpenFile {
    writer: Box<dyn BlobWriter>,
    file: WrittenFile,
    work: Work,
    between_lines: bool,
}

/// What another thread does with each block.
struct Work {
    hash: Sha256,
    packing: Option<Packing>,
}

struct Packing {
    encoder: GzEncoder<Vec<u8>>,
    hash: Sha256,
    bytes: u64,
}

/// What came of a block.
struct Worked {
    work: Work,
    lines: u64,
    /// What is to be stored instead of the block.
    packed: Option<Bytes>,
}

impl Work {
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

    fn block(mut self, bytes: &Bytes) -> std::io::Result<Worked> {
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
        Ok(Worked {
            work: self,
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
            tally: Tally::default(),
        }
    }

    /// What was written so far. Bundles of deletions are bytes, but no resources.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Adds a block to the file of its type.
    pub(crate) async fn add(&mut self, block: Block) -> Result<(), PortError> {
        let (kind, bytes) = (block.kind, length(&block.bytes));
        if self
            .open
            .as_ref()
            .is_some_and(|open| !open.takes(&block, self.form.limit))
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
        let is_deleted = kind == ResourceType::BUNDLE;
        self.tally += Tally {
            resources: if is_deleted { 0 } else { lines },
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
        let key = layout::data_file(&self.folder, kind, *n, self.form.gzip);
        let file = WrittenFile {
            kind,
            count: 0,
            bytes: 0,
            sha256: String::new(),
            gzip: None,
            key,
        };
        Ok(OpenFile {
            writer: self.blobs.start(&file.key).await?,
            file,
            work: Work::new(self.form.gzip),
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
        open.file.sha256 = hex::encode(open.work.hash.finalize());
        if let Some(packing) = open.work.packing {
            let packed = tokio::task::spawn_blocking(move || packing.finish()).await;
            let (end, packed) = packed.map_err(broken_off)?.map_err(broken_off)?;
            open.writer.write(end).await?;
            open.file.gzip = Some(packed);
        }
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

    /// Another thread counts, hashes and packs; a plain block is written meanwhile.
    async fn write(&mut self, bytes: Bytes) -> Result<u64, PortError> {
        let (work, block) = (
            std::mem::replace(&mut self.work, Work::new(false)),
            bytes.clone(),
        );
        let is_plain = work.packing.is_none();
        self.between_lines = bytes.last() == Some(&b'\n');
        self.file.bytes += length(&bytes);
        let work = tokio::task::spawn_blocking(move || work.block(&block));
        let worked = if is_plain {
            let (written, worked) = tokio::join!(self.writer.write(bytes), work);
            written?;
            worked
        } else {
            work.await
        };
        let worked = worked.map_err(broken_off)?.map_err(broken_off)?;
        if let Some(packed) = worked.packed.filter(|packed| !packed.is_empty()) {
            self.writer.write(packed).await?;
        }
        self.work = worked.work;
        self.file.count += worked.lines;
        Ok(worked.lines)
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
