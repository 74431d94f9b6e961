//! Processes by their pid: whether they live, and how they are ended.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Between two looks at something that is waited for.
pub(crate) const STEP: Duration = Duration::from_millis(50);

/// How long a process may take to obey a signal, before [`stop`] sends a harder one.
const OBEYS_WITHIN: Duration = Duration::from_secs(20);

/// Whether a process is there and not only waiting to be buried.
pub fn is_alive(pid: i32) -> bool {
    let there = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    there
        && !state
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
}

/// Asks a process to stop, and makes it after a while.
pub fn stop(name: &str, pid: i32) -> anyhow::Result<()> {
    for signal in [Signal::TERM, Signal::KILL] {
        send(pid, signal);
        if is_gone_within(pid, OBEYS_WITHIN) {
            return Ok(());
        }
    }
    bail!("{name} (pid {pid}) does not stop")
}

/// Sends a signal to a process that may be gone.
pub(crate) fn send(pid: i32, signal: Signal) {
    if let Some(target) = Pid::from_raw(pid) {
        let _may_be_gone = kill_process(target, signal);
    }
}

/// Waits until a process is gone; whether it went.
pub(crate) fn is_gone_within(pid: i32, patience: Duration) -> bool {
    let begun = Instant::now();
    while is_alive(pid) {
        if begun.elapsed() > patience {
            return false;
        }
        sleep(STEP);
    }
    true
}
