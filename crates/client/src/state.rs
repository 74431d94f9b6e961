//! What a folder knows of its export, so that a later run goes on instead of starting again.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::check::Seen;

const NAME: &str = ".sluice-export.json";

/// The content of the state file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The kick-off URL.
    pub(crate) request: String,
    /// Where to poll.
    pub(crate) status_url: String,
    /// Files by name.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, FileState>,
    /// Files that nothing could be held against.
    #[serde(default)]
    pub(crate) unchecked: usize,
    /// T, once everything is there.
    #[serde(default)]
    pub(crate) finished: Option<String>,
    /// Whether the export is deleted on the server.
    #[serde(default)]
    pub(crate) deleted: bool,
}

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// The version of which a part is here.
    #[serde(default)]
    pub(crate) etag: Option<String>,
    /// What the whole file amounts to, once it is here.
    #[serde(default)]
    pub(crate) done: Option<Seen>,
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Reads the state; `None` when there is none. A file that cannot be understood is an error.
pub(crate) fn read(folder: &Path) -> io::Result<Option<State>> {
    match std::fs::read(path(folder)) {
        Ok(body) => Ok(Some(serde_json::from_slice(&body)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the state whole or not at all.
pub(crate) fn write(folder: &Path, state: &State) -> io::Result<()> {
    let draft = folder.join(format!("{NAME}.part"));
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(state)?)?;
    file.sync_all()?;
    std::fs::rename(&draft, path(folder))
}

/// Takes the folder for this process until dropped; an error when another has it.
pub(crate) fn take(folder: &Path) -> io::Result<File> {
    let lock = File::create(folder.join(format!("{NAME}.lock")))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another export writes to it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Forgets the export: the state and every file it names.
pub(crate) fn forget(folder: &Path) -> io::Result<()> {
    let Some(state) = read(folder).unwrap_or_default() else {
        return remove(&path(folder));
    };
    for name in state.files.keys() {
        remove(&folder.join(name))?;
        remove(&folder.join(format!("{name}.part")))?;
    }
    remove(&path(folder))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
