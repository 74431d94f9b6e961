//! Which servers of the stack were started: a file of names and pids, for whoever stops them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The servers of a stack that may still run: name and pid, in the order of their start.
pub(super) struct Pids {
    started: usize,
    running: Vec<(String, i32)>,
}

impl Pids {
    pub(super) fn read(home: &Path) -> Self {
        let text = fs::read_to_string(home.join("pids")).unwrap_or_default();
        let running = text.lines().filter_map(|line| {
            let (name, rest) = line.split_once(' ')?;
            let (pid, begun) = rest.split_once(' ')?;
            let pid = pid.parse().ok()?;
            // Another program may have the pid by now, after a restart of the machine say.
            (begun_at(pid)? == begun).then(|| (name.to_owned(), pid))
        });
        Self {
            started: text.lines().count(),
            running: running.collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.started == 0
    }

    /// Whether none has ended.
    pub(super) fn are_complete(&self) -> bool {
        self.started == self.running.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(String, i32)> {
        self.running.iter()
    }
}

/// When a process began, as the kernel counts: with its pid, that is who it is.
fn begun_at(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets, which may hold spaces; the 22nd is the time.
    let fields = stat.rsplit_once(") ")?.1;
    fields.split(' ').nth(19).map(str::to_owned)
}

/// Adds a pid to the file.
pub(super) fn remember(home: &Path, name: &str, pid: i32) -> anyhow::Result<()> {
    let path = home.join("pids");
    let mut pids = OpenOptions::new().create(true).append(true).open(path)?;
    let begun = begun_at(pid).unwrap_or_default();
    writeln!(pids, "{name} {pid} {begun}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_is_another_program_by_now_is_left_alone() {
        let home = std::env::temp_dir().join(format!("sluice-pids-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        remember(&home, "me", me).unwrap();
        let pids = Pids::read(&home);
        assert!(pids.are_complete() && pids.iter().any(|(_, pid)| *pid == me));
        fs::write(home.join("pids"), format!("other {me} 12\n")).unwrap();
        let pids = Pids::read(&home);
        assert!(!pids.is_empty() && !pids.are_complete());
        assert_eq!(pids.iter().count(), 0);
        fs::remove_dir_all(home).unwrap();
    }
}
