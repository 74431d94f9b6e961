//! Builds the index of a folder: one thread reads, several parse, one writes.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rusqlite::params;
use sluice_fhir::facts::{Reason, scan};

use super::error::{EMPTY_FILE, LoadError};
use super::fingerprint::Found;
use super::lines::{Batch, Reader};
use super::place::place;
use super::resolve::{duplicates, resolve};
use super::tables::{Row, Writer};

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadProgress {
    /// Files in the folder.
    pub files: usize,
    /// Their bytes as they lie there, packed or not.
    pub file_bytes_total: u64,
    /// Bytes of them that are read.
    pub bytes_done: u64,
    /// Resources found so far.
    pub resources: u64,
    /// The index of an earlier load still holds, so that nothing needed reading.
    pub reused: bool,
}

/// Hears of progress.
pub(super) type Listener<'a> = &'a (dyn Fn(LoadProgress) + Send + Sync);

/// A batch after parsing.
struct Parsed {
    file: usize,
    rows: Vec<Row>,
    skips: Vec<(u64, Reason)>,
}

/// What the writer hears.
enum Event {
    Parsed(Parsed),
    /// A file is through: how many bytes it has unpacked.
    Read(usize, u64),
    Failed(LoadError),
}

/// What to load.
pub(super) struct Load<'a> {
    pub(super) files: &'a [Found],
    pub(super) lenient: bool,
    pub(super) listener: Listener<'a>,
}

impl Load<'_> {
    /// Writes `index.sqlite` and `unpacked/` into a folder, flushed to disk.
    pub(super) fn build(&self, folder: &Path) -> Result<(), LoadError> {
        let unpacked = folder.join("unpacked");
        fs::create_dir_all(&unpacked).map_err(LoadError::io("making", &unpacked))?;
        let (index, stage) = (folder.join("index.sqlite"), folder.join("stage.sqlite"));
        let mut writer = Writer::create(&index, &stage)?;
        let done = AtomicU64::new(0);
        self.run(Reader::new(&done, unpacked), &mut writer)?;
        duplicates(&writer.index, self.files, self.lenient)?;
        resolve(&writer.index)?;
        writer.finish()?;
        drop(writer);
        fs::remove_file(&stage).map_err(LoadError::io("removing", &stage))?;
        let flush = || fs::File::open(&index)?.sync_all();
        flush().map_err(LoadError::io("flushing", &index))
    }

    fn run(&self, reader: Reader<'_>, writer: &mut Writer) -> Result<(), LoadError> {
        let parsers = thread::available_parallelism().map_or(1, usize::from);
        let (batches, taken) = sync_channel::<Batch>(1);
        let (events, heard) = sync_channel::<Event>(parsers);
        let taken = &Mutex::new(Some(taken));
        let done = reader.done;
        thread::scope(|scope| {
            for _ in 0..parsers {
                let events = events.clone();
                scope.spawn(move || self.parse(taken, &events));
            }
            scope.spawn(move || self.read(&reader, &batches, &events));
            let written = self.write(writer, done, heard);
            // Nobody parses any more, or nobody should: let go of a reader that waits.
            taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            written
        })
    }

    fn read(&self, reader: &Reader<'_>, batches: &SyncSender<Batch>, events: &SyncSender<Event>) {
        for (number, file) in self.files.iter().enumerate() {
            let event = match reader.read(number, file, &|batch| batches.send(batch).is_ok()) {
                Ok(Some(size)) => Event::Read(number, size),
                Ok(None) => return,
                Err(error) => Event::Failed(error),
            };
            let is_over = matches!(event, Event::Failed(_));
            if events.send(event).is_err() || is_over {
                return;
            }
        }
    }

    fn parse(&self, batches: &Mutex<Option<Receiver<Batch>>>, events: &SyncSender<Event>) {
        loop {
            let next = {
                let batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
                batches.as_ref().and_then(|batches| batches.recv().ok())
            };
            let Some(batch) = next else { return };
            let event = match self.lines(&batch) {
                Ok(parsed) => Event::Parsed(parsed),
                Err(error) => Event::Failed(error),
            };
            drop(batch);
            if events.send(event).is_err() {
                batches
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                return;
            }
        }
    }

    fn lines(&self, batch: &Batch) -> Result<Parsed, LoadError> {
        let mut parsed = Parsed {
            file: batch.file,
            rows: Vec::new(),
            skips: Vec::new(),
        };
        let (mut at, mut number) = (batch.at, batch.line);
        for line in batch.bytes.split_inclusive(|byte| *byte == b'\n') {
            let (start, text) = trim(line, at);
            if !text.trim_ascii().is_empty() {
                match scan(text) {
                    Ok(facts) => parsed.rows.push(Row {
                        line: number,
                        at: start,
                        len: text.len(),
                        facts,
                    }),
                    Err(reason) if self.lenient || reason == Reason::NoData => {
                        parsed.skips.push((number, reason));
                    }
                    Err(reason) => {
                        return Err(LoadError::Line {
                            file: self.files[batch.file].name.clone(),
                            line: number,
                            reason: reason.to_string(),
                        });
                    }
                }
            }
            at += u64::try_from(line.len()).unwrap_or(0);
            number += 1;
        }
        Ok(parsed)
    }

    fn write(
        &self,
        writer: &mut Writer,
        done: &AtomicU64,
        events: Receiver<Event>,
    ) -> Result<(), LoadError> {
        let mut progress = LoadProgress {
            files: self.files.len(),
            file_bytes_total: total_bytes(self.files),
            ..LoadProgress::default()
        };
        let mut read = 0;
        for event in events {
            match event {
                Event::Parsed(parsed) => {
                    for row in &parsed.rows {
                        writer.add(parsed.file, row)?;
                    }
                    for (line, reason) in &parsed.skips {
                        writer.skip(parsed.file, *line, reason.summary());
                    }
                    progress.resources += u64::try_from(parsed.rows.len()).unwrap_or(0);
                    progress.bytes_done = done.load(Ordering::Relaxed);
                    (self.listener)(progress);
                }
                Event::Read(number, size) => {
                    read += 1;
                    self.note(writer, number, size)?;
                }
                Event::Failed(error) => return Err(error),
            }
        }
        if read == self.files.len() {
            progress.bytes_done = progress.file_bytes_total;
            (self.listener)(progress);
            Ok(())
        } else {
            Err(LoadError::Stopped)
        }
    }

    fn note(&self, writer: &mut Writer, number: usize, size: u64) -> Result<(), LoadError> {
        let file = &self.files[number];
        if size == 0 && !self.lenient {
            return Err(LoadError::Empty(file.name.clone()));
        }
        if size == 0 {
            writer.skip(number, 1, EMPTY_FILE);
        }
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let unpacked = file.packed.then_some(size);
        writer.index.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?)",
            params![
                place(number, 0) >> 40,
                file.name,
                file.stamp.size,
                file.stamp.mtime,
                unpacked
            ],
        )?;
        Ok(())
    }
}

/// The bytes of all files.
pub(super) fn total_bytes(files: &[Found]) -> u64 {
    let sizes = files.iter().map(|file| file.stamp.size);
    u64::try_from(sizes.sum::<i64>()).unwrap_or(0)
}

/// A line without its end and, at the start of a file, without a byte order mark; and where
/// that begins.
fn trim(line: &[u8], at: u64) -> (u64, &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) if at == 0 => (3, rest),
        _ => (at, line),
    }
}
