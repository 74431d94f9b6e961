//! Reads the lines of a slice in blocks.
//!
//! Entries that lie next to each other in a file are read at once. Each file is looked at before
//! and after: when it is no longer the one that was indexed, the read fails.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_model::Slice;
use sluice_ports::{Block, PortError, foreign, spans_of};
use tokio::sync::mpsc::Sender;

use super::failure::changed;
use super::fingerprint::Stamp;
use super::generation::Generation;
use super::place::file_of;
use super::plan::Span;
use super::view::{Entry, Step, View};

/// Bytes of a block.
const BLOCK: u64 = 1 << 20;

/// Where blocks go.
pub(super) type Outlet = Sender<Block>;

/// Sends the lines of a slice.
pub(super) fn slice(
    view: &View<'_>,
    generation: &Generation,
    types: &[ResourceType],
    slice: &Slice,
    outlet: &Outlet,
) -> Result<(), PortError> {
    let mut files = Files::new(generation);
    for (kind, span) in spans_of::<Span>(slice)? {
        if !types.contains(&kind) {
            return Err(foreign("slice"));
        }
        let mut lines = Lines {
            files: &mut files,
            outlet,
            kind,
            block: Vec::new(),
            count: 0,
            run: None,
        };
        let mut is_heard = true;
        view.each(kind, span, |entry| {
            is_heard = lines.add(&entry)?;
            Ok(if is_heard { Step::More } else { Step::Enough })
        })?;
        if !is_heard || !lines.send()? {
            return Ok(());
        }
    }
    files.close()
}

/// One line of the folder.
pub(super) fn line(
    generation: &Generation,
    place: i64,
    span: (u64, u64),
) -> Result<Bytes, PortError> {
    let mut files = Files::new(generation);
    let mut line = Vec::new();
    files.read(file_of(place), span, &mut line)?;
    files.close()?;
    Ok(line.into())
}

/// Lines that follow each other in a file; the last one's newline is not in it.
#[derive(Clone, Copy)]
struct Run {
    file: usize,
    at: u64,
    len: u64,
}

struct Lines<'a, 'g> {
    files: &'a mut Files<'g>,
    outlet: &'a Outlet,
    kind: ResourceType,
    block: Vec<u8>,
    count: u64,
    run: Option<Run>,
}

impl Lines<'_, '_> {
    /// Adds a line; false when nobody listens.
    fn add(&mut self, entry: &Entry) -> Result<bool, PortError> {
        let file = file_of(entry.place);
        let pending = self.run.map_or(0, |run| run.len + 1);
        let full = size(&self.block) + pending + entry.len + 1 > BLOCK;
        if full && !self.send()? {
            return Ok(false);
        }
        let next = Run {
            file,
            at: entry.at,
            len: entry.len,
        };
        if entry.len + 1 > BLOCK {
            return self.giant(next);
        }
        match &mut self.run {
            Some(run) if run.file == file && run.at + run.len + 1 == entry.at => {
                run.len += entry.len + 1;
            }
            _ => {
                self.take_run()?;
                self.run = Some(next);
            }
        }
        self.count += 1;
        Ok(true)
    }

    fn take_run(&mut self) -> Result<(), PortError> {
        if let Some(run) = self.run.take() {
            if self.block.capacity() == 0 {
                self.block
                    .reserve_exact(usize::try_from(BLOCK).unwrap_or(0));
            }
            self.files
                .read(run.file, (run.at, run.len), &mut self.block)?;
            self.block.push(b'\n');
        }
        Ok(())
    }

    /// Sends what is there; false when nobody listens.
    fn send(&mut self) -> Result<bool, PortError> {
        self.take_run()?;
        if self.block.is_empty() {
            return Ok(true);
        }
        let block = Block {
            kind: self.kind,
            bytes: std::mem::take(&mut self.block).into(),
            lines: std::mem::take(&mut self.count),
        };
        Ok(self.outlet.blocking_send(block).is_ok())
    }

    /// Sends a line that is longer than a block, in pieces.
    fn giant(&mut self, line: Run) -> Result<bool, PortError> {
        let mut done = 0;
        while done <= line.len {
            let text = (line.len - done).min(BLOCK);
            self.files
                .read(line.file, (line.at + done, text), &mut self.block)?;
            done += text;
            if done == line.len && text < BLOCK {
                self.block.push(b'\n');
                self.count = 1;
                done += 1;
            }
            if !self.send()? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The files of a generation, one of them open.
struct Files<'g> {
    generation: &'g Generation,
    open: Option<(usize, File)>,
}

impl<'g> Files<'g> {
    fn new(generation: &'g Generation) -> Self {
        Self {
            generation,
            open: None,
        }
    }

    /// Appends a span of a file.
    fn read(
        &mut self,
        number: usize,
        (at, len): (u64, u64),
        to: &mut Vec<u8>,
    ) -> Result<(), PortError> {
        let file = self.file(number)?;
        let start = to.len();
        to.resize(start + usize::try_from(len).unwrap_or(0), 0);
        match file.read_exact_at(&mut to[start..], at) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(changed()),
            read => read.map_err(failed),
        }
    }

    fn file(&mut self, number: usize) -> Result<&File, PortError> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            self.close()?;
            let data = self.generation.files.get(number).ok_or_else(changed)?;
            let file = match File::open(&data.path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(changed()),
                file => file.map_err(failed)?,
            };
            self.verify(number, &file)?;
            self.open = Some((number, file));
        }
        match &self.open {
            Some((_, file)) => Ok(file),
            None => Err(changed()),
        }
    }

    /// Makes sure that what was read is what was indexed.
    fn close(&mut self) -> Result<(), PortError> {
        match self.open.take() {
            Some((number, file)) => self.verify(number, &file),
            None => Ok(()),
        }
    }

    fn verify(&self, number: usize, file: &File) -> Result<(), PortError> {
        let data = self.generation.files.get(number).ok_or_else(changed)?;
        let now = Stamp::of(&file.metadata().map_err(failed)?);
        let same = now.size == data.stamp.size && (data.unpacked || now == data.stamp);
        if same { Ok(()) } else { Err(changed()) }
    }
}

fn failed(error: io::Error) -> PortError {
    PortError::transient("reading the data folder", error)
}
