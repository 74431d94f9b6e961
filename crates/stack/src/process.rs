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

/// Asks a process to stop, and makes it after a while. `name` is [`Server::NAME`].
///
/// [`Server::NAME`]: crate::Server::NAME
pub fn stop(name: &str, pid: i32) -> anyhow::Result<()> {
    send(pid, asks(name));
    if is_gone_within(pid, OBEYS_WITHIN) || kill(pid) {
        return Ok(());
    }
    bail!("{name} (pid {pid}) does not stop")
}

/// The signal by which a server is asked to end in order and soon. PostgreSQL would take SIGTERM as
/// "when the last client has gone".
pub(crate) fn asks(name: &str) -> Signal {
    if name == crate::postgres::NAME {
        Signal::INT
    } else {
        Signal::TERM
    }
}

/// Ends a process and those that it forked, all at once (SIGKILL); whether they went. What the
/// children of a PostgreSQL server hold would keep the next one from starting.
pub(crate) fn kill(pid: i32) -> bool {
    // One that stands still forks no more.
    send(pid, Signal::STOP);
    let mut all = children(pid);
    all.insert(0, pid);
    for pid in &all {
        send(*pid, Signal::KILL);
    }
    all.iter().all(|pid| is_gone_within(*pid, OBEYS_WITHIN))
}

/// The processes that a process forked itself.
fn children(pid: i32) -> Vec<i32> {
    let is_child = |child: &i32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // The second field is a name in brackets, which may hold spaces; the fourth is the parent.
        let fields = stat.rsplit_once(") ").unwrap_or_default().1;
        fields.split(' ').nth(1) == Some(&pid.to_string())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
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
