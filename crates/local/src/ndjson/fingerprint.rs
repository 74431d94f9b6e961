//! Which files make up the folder, and whether they are still the same.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use memchr::memmem;
use sha2::{Digest, Sha256};

use super::error::LoadError;
use super::options::{NdjsonOptions, Undated};

/// Raised with every change of the tables or of what goes into them.
const FORMAT: u32 = 2;

/// Bytes in which a resource says that it is one.
const SNIFFED: u64 = 4096;

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
    /// Whether it is gzip.
    pub(super) packed: bool,
}

/// What a file holds, as far as it must be looked at before it is read.
#[derive(Clone, Copy)]
enum Content {
    Plain,
    Packed,
    Other,
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
        } else {
            let metadata = fs::metadata(&path).map_err(LoadError::io("looking at", &path))?;
            let packed = match content(&name, &path, &metadata)? {
                Content::Other => continue,
                Content::Plain => false,
                Content::Packed => true,
            };
            let stamp = Stamp::of(&metadata);
            found.push(Found {
                name,
                path,
                stamp,
                packed,
            });
        }
    }
    Ok(())
}

/// A file named like data is data whatever is in it, so that a broken one is not passed over. One
/// with another name is data if it begins like a resource; notes and manifests do not.
fn content(name: &str, path: &Path, metadata: &Metadata) -> Result<Content, LoadError> {
    if !metadata.is_file() {
        return Ok(Content::Other);
    }
    let plain_name = name.strip_suffix(".gz").unwrap_or(name);
    let ending = Path::new(plain_name).extension();
    if ending.is_some_and(|ending| ending == "ndjson" || ending == "jsonl") {
        let is_plain = plain_name == name;
        return Ok(if is_plain {
            Content::Plain
        } else {
            Content::Packed
        });
    }
    sniff(path).map_err(LoadError::io("reading", path))
}

fn sniff(path: &Path) -> io::Result<Content> {
    let mut head = Vec::new();
    File::open(path)?.take(SNIFFED).read_to_end(&mut head)?;
    let packed = head.starts_with(&[0x1f, 0x8b]);
    if packed {
        let mut plain = Vec::new();
        // Cut off on purpose, so the end is an error that says nothing.
        let _as_far_as_it_goes = MultiGzDecoder::new(&head[..]).read_to_end(&mut plain);
        head = plain;
    }
    let is_resource = head.trim_ascii_start().starts_with(b"{")
        && memmem::find(&head, b"\"resourceType\"").is_some();
    Ok(match (is_resource, packed) {
        (false, _) => Content::Other,
        (true, false) => Content::Plain,
        (true, true) => Content::Packed,
    })
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
