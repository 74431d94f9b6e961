//! Fills a database: reads, parses and writes at once, in batches that are each a transaction. A load
//! that was cut short is run again; what it wrote before is found unchanged.

mod change;
mod filling;
mod input;
mod names;
mod rows;
mod tables;
mod turns;
mod writer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::change::Rejected;
pub use self::input::{Input, LoadError};
pub use self::writer::{Batch, Pending, Writer, Written};

use self::input::{Found, Lines};
use self::turns::Turns;

/// Rejected lines that are told one by one.
const TOLD: usize = 100;

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadProgress {
    /// Bytes of the files as they lie there; 0 where that is not known.
    pub total: u64,
    /// Bytes of them that are read.
    pub done: u64,
    /// What became of them so far.
    pub written: Written,
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The file.
    pub file: String,
    /// The line, or the document, from 1.
    pub line: u64,
    /// Why, in words that quote nothing.
    pub why: String,
}

/// What a load did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// In all.
    pub written: Written,
    /// The first lines that were left out.
    pub left: Vec<Left>,
    /// How many were left out, by reason.
    pub reasons: BTreeMap<String, u64>,
}

impl LoadReport {
    /// Lines and entries that were left out.
    pub fn rejected(&self) -> u64 {
        self.reasons.values().sum()
    }
}

/// What the tasks of a load share.
struct Load {
    writer: Writer,
    done: Arc<AtomicU64>,
    total: u64,
    report: Mutex<LoadReport>,
    turns: Turns,
    /// The number of the next batch.
    next: Arc<AtomicU64>,
    listener: Box<dyn Fn(LoadProgress) + Send + Sync>,
}

/// Batches, numbered as they are taken.
struct Taken {
    batches: mpsc::Receiver<Lines>,
    next: Arc<AtomicU64>,
}

impl Taken {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// Loads files with so many connections at once.
pub async fn load(
    writer: &Writer,
    inputs: &[Input],
    width: usize,
    listener: impl Fn(LoadProgress) + Send + Sync + 'static,
) -> Result<LoadReport, LoadError> {
    let found = input::find(inputs)?;
    let load = Arc::new(Load {
        writer: writer.clone(),
        done: Arc::default(),
        total: found.iter().map(|file| file.bytes).sum(),
        report: Mutex::default(),
        turns: Turns::default(),
        next: Arc::default(),
        listener: Box::new(listener),
    });
    // What must be through before what follows begins: Patients, then the rest, then deletions.
    let mut rest = found.as_slice();
    while let Some(first) = rest.first() {
        let stage = |file: &Found| (file.is_deletions, file.name.starts_with("Patient"));
        let same = rest.iter().take_while(|file| stage(file) == stage(first));
        let (now, later) = rest.split_at(same.count());
        load.stage(now, width).await?;
        rest = later;
    }
    load.writer.forget_the_dead().await?;
    load.writer.sum_up().await?;
    let report = load.report.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(report.clone())
}

impl Load {
    async fn stage(self: &Arc<Self>, files: &[Found], width: usize) -> Result<(), LoadError> {
        let (batches, taken) = mpsc::channel::<Lines>(1);
        let taken = Taken {
            batches: taken,
            next: Arc::clone(&self.next),
        };
        let taken = Arc::new(tokio::sync::Mutex::new(taken));
        let mut tasks = JoinSet::new();
        let files: Vec<Arc<Found>> = files.iter().cloned().map(Arc::new).collect();
        let done = Arc::clone(&self.done);
        tasks.spawn_blocking(move || {
            for file in &files {
                if !input::read(file, &done, |lines| batches.blocking_send(lines).is_ok())? {
                    break;
                }
            }
            Ok(())
        });
        for _ in 0..width.max(1) {
            let (load, taken) = (Arc::clone(self), Arc::clone(&taken));
            tasks.spawn(async move {
                loop {
                    let next = {
                        let mut taken = taken.lock().await;
                        let lines = taken.batches.recv().await;
                        lines.map(|lines| (taken.number(), lines))
                    };
                    let Some((number, lines)) = next else {
                        return Ok(());
                    };
                    load.write(number, lines).await?;
                }
            });
        }
        drop(taken);
        while let Some(ended) = tasks.join_next().await {
            // The first failure ends the others with the set.
            ended.unwrap_or_else(|error| {
                Err(LoadError::Port(sluice_ports::PortError::transient(
                    "loading", error,
                )))
            })?;
        }
        Ok(())
    }

    async fn write(self: &Arc<Self>, number: u64, lines: Lines) -> Result<(), LoadError> {
        let load = Arc::clone(self);
        let parsed = tokio::task::spawn_blocking(move || load.parse(&lines));
        let batch = parsed.await.map_err(|error| {
            LoadError::Port(sluice_ports::PortError::transient("parsing a batch", error))
        })?;
        self.turns.wait(number, &batch.changes).await;
        let written = self.writer.write(batch).await;
        self.turns.done(number);
        let written = written?;
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.written += written;
        (self.listener)(LoadProgress {
            total: self.total,
            done: self.done.load(Ordering::Relaxed),
            written: report.written,
        });
        Ok(())
    }

    fn parse(&self, lines: &Lines) -> Batch {
        let mut batch = Batch::default();
        let mut left = Vec::new();
        for (number, line) in &lines.all {
            let mut rejected = |why: Rejected| left.push((*number, why.to_string()));
            if lines.file.is_deletions {
                change::read_reference(line, &mut batch.changes, &mut rejected);
            } else {
                change::read(line, &mut batch.changes, &mut rejected);
            }
        }
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        for (line, why) in left {
            *report.reasons.entry(why.clone()).or_default() += 1;
            if report.left.len() < TOLD {
                report.left.push(Left {
                    file: lines.file.name.clone(),
                    line,
                    why,
                });
            }
        }
        batch
    }
}
