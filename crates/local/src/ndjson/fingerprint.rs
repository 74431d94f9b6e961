//! Which files make up the folder, and whether they are still the same.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::LoadError;
use super::options::{NdjsonOptions, Undated};

/// Raised with every change of the tables or of what goes into them.
const FORMAT: u32 = 1;

/// What tells a file's state without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: i64,
    /// Nanoseconds since the epoch.
    pub(super) mtime: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanos = metadata.mtime().saturating_mul(1_000_000_000);
        Self {
            size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
            mtime: nanos.saturating_add(metadata.mtime_nsec()),
        }
    }
}

/// A data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path within the folder, with `/`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

impl Found {
    pub(super) fn is_packed(&self) -> bool {
        self.name.strip_suffix(".gz").is_some()
    }
}

/// The data files, sorted by name.
pub(super) fn survey(options: &NdjsonOptions) -> Result<Vec<Found>, LoadError> {
    let mut found = Vec::new();
    let index = options.index_dir().canonicalize().ok();
    walk(&options.dir, "", index.as_deref(), &mut found)?;
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if found.is_empty() {
        return Err(LoadError::NoFiles(options.dir.clone()));
    }
    Ok(found)
}

fn walk(
    folder: &Path,
    prefix: &str,
    index: Option<&Path>,
    found: &mut Vec<Found>,
) -> Result<(), LoadError> {
    let listing = || LoadError::io("listing", folder);
    for entry in fs::read_dir(folder).map_err(listing())? {
        let entry = entry.map_err(listing())?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(listing())?;
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            if path.canonicalize().ok().as_deref() != index {
                walk(&path, &format!("{name}/"), index, found)?;
            }
        } else if is_data(&name) {
            let metadata = fs::metadata(&path).map_err(LoadError::io("looking at", &path))?;
            if metadata.is_file() {
                let stamp = Stamp::of(&metadata);
                found.push(Found { name, path, stamp });
            }
        }
    }
    Ok(())
}

fn is_data(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let ending = Path::new(name).extension();
    ending.is_some_and(|ending| ending == "ndjson" || ending == "jsonl")
}

/// The name of the state that these files are in under these options.
pub(super) fn fingerprint(options: &NdjsonOptions, files: &[Found]) -> String {
    let mut hash = Sha256::new();
    let undated = options.undated == Undated::FileTime;
    hash.update(format!("{FORMAT} {} {undated}\n", options.lenient));
    for file in files {
        let Stamp { size, mtime } = file.stamp;
        hash.update(format!("{size} {mtime} {}\0", file.name));
    }
    hex::encode(&hash.finalize()[..12])
}
