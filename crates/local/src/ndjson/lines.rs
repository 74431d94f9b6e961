//! Reads files into batches of whole lines, and unpacks them on the way.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::read::MultiGzDecoder;

use super::error::LoadError;
use super::fingerprint::Found;

/// Bytes read at a time.
const BATCH: usize = 1 << 20;
/// Batches larger than this are let through one at a time.
const GIANT: usize = 8 << 20;

/// Whole lines of a file; the last of a file may lack its newline.
pub(super) struct Batch {
    pub(super) file: usize,
    /// The number of its first line, from 1.
    pub(super) line: u64,
    /// Where its first byte is.
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    /// Held while a giant is in memory.
    pub(super) _permit: Option<Permit>,
}

/// The right to hold a giant line.
pub(super) struct Permit(SyncSender<()>);

impl Drop for Permit {
    fn drop(&mut self) {
        let _nobody_waits_after_the_reader = self.0.try_send(());
    }
}

/// Reads one file after the other.
pub(super) struct Reader<'a> {
    pub(super) done: &'a AtomicU64,
    /// Where unpacked files go.
    pub(super) unpacked: PathBuf,
    giants: (SyncSender<()>, Receiver<()>),
}

impl<'a> Reader<'a> {
    pub(super) fn new(done: &'a AtomicU64, unpacked: PathBuf) -> Self {
        let giants = sync_channel(1);
        let _there_is_room = giants.0.try_send(());
        Self {
            done,
            unpacked,
            giants,
        }
    }

    /// Sends all of a file; says how many bytes it has unpacked, and `None` when nobody listens.
    pub(super) fn read(
        &self,
        number: usize,
        file: &Found,
        send: &dyn Fn(Batch) -> bool,
    ) -> Result<Option<u64>, LoadError> {
        let failed = || LoadError::io("reading", &file.path);
        let packed = Counting {
            file: File::open(&file.path).map_err(failed())?,
            done: self.done,
        };
        if !file.packed {
            return self.split(number, packed, send).map_err(failed());
        }
        let path = unpacked_path(&self.unpacked, number);
        let out = File::create(&path).map_err(LoadError::io("unpacking to", &path))?;
        let plain = Tee {
            plain: MultiGzDecoder::new(BufReader::with_capacity(BATCH, packed)),
            out: &out,
        };
        let size = self.split(number, plain, send).map_err(failed())?;
        out.sync_all()
            .map_err(LoadError::io("unpacking to", &path))?;
        Ok(size)
    }

    fn split(
        &self,
        file: usize,
        mut plain: impl Read,
        send: &dyn Fn(Batch) -> bool,
    ) -> io::Result<Option<u64>> {
        let (mut bytes, mut at, mut line, mut permit) = (Vec::new(), 0, 1, None);
        loop {
            let before = bytes.len();
            let limit = u64::try_from(BATCH).unwrap_or(u64::MAX);
            let read = plain.by_ref().take(limit).read_to_end(&mut bytes)?;
            let is_last = read < BATCH;
            let cut = match memchr::memrchr(b'\n', &bytes[before..]) {
                _ if is_last => bytes.len(),
                Some(newline) => before + newline + 1,
                None => {
                    if bytes.len() > GIANT && permit.is_none() {
                        permit = Some(self.permit());
                    }
                    continue;
                }
            };
            let rest = bytes.split_off(cut);
            let size = u64::try_from(cut).unwrap_or(u64::MAX);
            let lines = memchr::memchr_iter(b'\n', &bytes).count();
            let batch = Batch {
                file,
                line,
                at,
                bytes,
                _permit: permit.take(),
            };
            if cut > 0 && !send(batch) {
                return Ok(None);
            }
            at += size;
            line += u64::try_from(lines).unwrap_or(u64::MAX);
            bytes = rest;
            if is_last {
                return Ok(Some(at));
            }
        }
    }

    fn permit(&self) -> Permit {
        let _the_sender_is_here = self.giants.1.recv();
        Permit(self.giants.0.clone())
    }
}

/// Where the n-th file lies unpacked.
pub(super) fn unpacked_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.ndjson"))
}

struct Counting<'a> {
    file: File,
    done: &'a AtomicU64,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(0);
        self.done.fetch_add(bytes, Ordering::Relaxed);
        Ok(read)
    }
}

struct Tee<'a, R> {
    plain: R,
    out: &'a File,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.plain.read(buffer)?;
        self.out.write_all(&buffer[..read])?;
        Ok(read)
    }
}
