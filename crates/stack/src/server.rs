//! What all kinds of servers have in common, and one of them as a process.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::STEP;

/// Only so that what never answers does not hang whoever waits.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// How much of its log is shown of a server that does not answer.
const SHOWN_LINES: usize = 20;

/// A kind of server: how one is set up in a folder of its own, and how it is run.
pub trait Server: Sized {
    /// How two of the kind may differ.
    type Options;

    /// What it is called.
    const NAME: &'static str;

    /// Chooses ports, and writes into an empty folder what the server reads when it starts.
    fn prepare(folder: &Path, options: &Self::Options) -> anyhow::Result<Self>;

    /// Everything it writes is below.
    fn folder(&self) -> &Path;

    /// Starts it: on the same ports and with the same data every time.
    fn command(&self) -> Command;

    /// Whether it answers.
    fn answers(&self) -> bool;

    /// Where clients reach it.
    fn url(&self) -> String;

    /// The services' settings that lead to it, as environment variables.
    fn settings(&self) -> Vec<(String, String)>;

    /// Names and pids of what it started and leaves behind.
    fn companions(&self) -> Vec<(&'static str, i32)> {
        Vec::new()
    }
}

/// A server that was started. Dropping this leaves it running.
pub struct Process<S> {
    pub(crate) server: S,
    pub(crate) child: Child,
}

impl<S: Server> Process<S> {
    /// Starts a server that outlives whoever started it; it needs a while until it answers.
    pub fn start(server: S) -> anyhow::Result<Self> {
        Self::start_in(server, Group::Own)
    }

    pub(crate) fn start_in(server: S, group: Group) -> anyhow::Result<Self> {
        let child = spawn(&server, group)?;
        Ok(Self { server, child })
    }

    /// Waits until the server answers, or has ended.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        let (begun, name) = (Instant::now(), S::NAME);
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended ({status}):\n{}", self.last_lines());
            }
            if self.server.answers() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{name} does not answer:\n{}", self.last_lines());
            }
            sleep(STEP);
        }
    }

    /// The server that runs.
    pub fn server(&self) -> &S {
        &self.server
    }

    /// The process itself.
    pub fn pid(&self) -> anyhow::Result<i32> {
        Ok(i32::try_from(self.child.id())?)
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(log(&self.server)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

fn log(server: &impl Server) -> std::path::PathBuf {
    server.folder().join("log")
}

/// Who ends together when somebody presses Ctrl-C.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Group {
    /// The server goes on.
    Own,
    /// The server ends with whoever started it.
    Starters,
}

pub(crate) fn spawn<S: Server>(server: &S, group: Group) -> anyhow::Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log(server))
        .with_context(|| format!("opening the log of {}", S::NAME))?;
    let mut command = server.command();
    if matches!(group, Group::Own) {
        command.process_group(0);
    }
    command
        .current_dir(server.folder())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", S::NAME))
}
