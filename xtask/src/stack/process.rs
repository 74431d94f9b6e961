//! Servers as processes of their own: started, remembered by pid, asked to stop, made to stop.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::run::root;

const PATIENCE: Duration = Duration::from_mins(2);
const STEP: Duration = Duration::from_millis(50);

/// The servers of a stack: name and pid, in the order of their start.
pub(super) struct Pids(Vec<(String, i32)>);

impl Pids {
    pub(super) fn read(home: &Path) -> Self {
        let text = fs::read_to_string(home.join("pids")).unwrap_or_default();
        let pids = text.lines().filter_map(|line| {
            let (name, pid) = line.split_once(' ')?;
            Some((name.to_owned(), pid.parse().ok()?))
        });
        Self(pids.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(String, i32)> {
        self.0.iter()
    }
}

/// Starts a server that outlives this process, and remembers it.
pub(super) fn start(name: &str, folder: &Path, command: &mut Command) -> anyhow::Result<()> {
    let log = File::create(folder.join("log"))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own: Ctrl-C is for whoever started it.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    remember(name, i32::try_from(child.id())?)
}

/// Adds a pid to the file.
pub(super) fn remember(name: &str, pid: i32) -> anyhow::Result<()> {
    let path = root().join("target/stack/pids");
    let mut pids = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(pids, "{name} {pid}")?;
    Ok(())
}

/// Whether a process is there and not only waiting to be buried.
pub(super) fn is_alive(pid: i32) -> bool {
    let there = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    there
        && !state
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
}

/// Asks a server to stop, and makes it after a while.
pub(super) fn stop(name: &str, pid: i32) -> anyhow::Result<()> {
    let Some(target) = Pid::from_raw(pid) else {
        return Ok(());
    };
    for signal in [Signal::TERM, Signal::KILL] {
        let _may_be_gone = kill_process(target, signal);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if !is_alive(pid) {
                return Ok(());
            }
            sleep(STEP);
        }
    }
    bail!("{name} (pid {pid}) does not stop")
}

/// Waits until a server answers.
pub(super) fn wait(name: &str, mut answers: impl FnMut() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !answers() {
        if begun.elapsed() > PATIENCE {
            bail!("{name} does not answer; see its log under target/stack");
        }
        sleep(STEP);
    }
    Ok(())
}

/// Ports that are free now. All are held until the last is found, so that they differ.
pub(super) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
