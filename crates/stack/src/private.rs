//! A server that belongs to one test, and lives no longer than it.

use std::fmt::Display;

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::process::{asks, is_gone_within, kill, send, stop};
use crate::server::{Group, PATIENCE, Process, Server, spawn};

/// How often a start is tried: another process may take a port between its choice and its use.
const TRIES: usize = 3;

/// A running server with a folder of its own. All of it goes when this is dropped.
///
/// Every method blocks until what it asks for is so.
pub struct Private<S: Server> {
    process: Process<S>,
    // Dropped after the process, which `Drop` ends first.
    _folder: TempDir,
}

impl<S: Server> Private<S> {
    /// Starts a server and waits until it answers.
    pub fn start(options: &S::Options) -> anyhow::Result<Self> {
        let mut tried = Self::try_start(options);
        for _ in 1..TRIES {
            if tried.is_ok() {
                break;
            }
            tried = Self::try_start(options);
        }
        tried
    }

    fn try_start(options: &S::Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for a server")?;
        let server = S::prepare(folder.path(), options)?;
        // Made before the wait, so that one that does not answer is ended too.
        let mut private = Self {
            process: Process::start_in(server, Group::Starters)?,
            _folder: folder,
        };
        private.process.wait()?;
        Ok(private)
    }

    /// The server: its ports, and what it is told at the next start.
    pub fn server(&self) -> &S {
        &self.process.server
    }

    /// As [`Private::server`], to be changed.
    pub fn server_mut(&mut self) -> &mut S {
        &mut self.process.server
    }

    /// Where clients reach it.
    pub fn url(&self) -> String {
        self.server().url()
    }

    /// Asks it to stop and waits until it has, however long it needs to do so in order.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let pid = self.process.pid()?;
        send(pid, asks(S::NAME));
        if !is_gone_within(pid, PATIENCE) {
            bail!("{} (pid {pid}) does not end", S::NAME);
        }
        self.process.child.wait()?;
        Ok(())
    }

    /// Ends it at once, with what it forked (SIGKILL).
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let pid = self.process.pid()?;
        if self.process.child.try_wait()?.is_none() && !kill(pid) {
            bail!("{} (pid {pid}) does not end", S::NAME);
        }
        self.process.child.wait()?;
        Ok(())
    }

    /// Starts it again after [`Private::stop`] or [`Private::kill`], on the same ports and with what
    /// it kept, and waits until it answers.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        if self.process.child.try_wait()?.is_none() {
            bail!("{} runs still", S::NAME);
        }
        self.process.child = spawn(&self.process.server, Group::Starters)?;
        self.process.wait()
    }
}

impl<S: Server> Drop for Private<S> {
    /// What cannot be ended is told: a test that leaves a server behind slows the next.
    fn drop(&mut self) {
        tell(S::NAME, self.kill().err());
        for (name, pid) in self.process.server.companions() {
            tell(name, stop(name, pid).err());
        }
    }
}

fn tell(name: &str, error: Option<impl Display>) {
    use std::io::Write;
    if let Some(error) = error {
        let _nobody_listens = writeln!(std::io::stderr(), "ending {name}: {error}");
    }
}
