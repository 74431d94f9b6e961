//! Which servers of the stack were started: a file of names and pids, for whoever stops them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

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

/// Adds a pid to the file.
pub(super) fn remember(home: &Path, name: &str, pid: i32) -> anyhow::Result<()> {
    let path = home.join("pids");
    let mut pids = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(pids, "{name} {pid}")?;
    Ok(())
}
