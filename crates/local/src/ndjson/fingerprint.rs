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
const SNIFFED: u64 = 1 << 20;

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

/// What lies in the folder.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The data files, sorted by name.
    pub(super) found: Vec<Found>,
    /// Names of files that are none.
    pub(super) ignored: Vec<String>,
    /// Folders on the way down, so that links do not lead in a circle.
    entered: Vec<PathBuf>,
    /// Where the index is.
    index: Option<PathBuf>,
}

/// Looks at the folder.
pub(super) fn survey(options: &NdjsonOptions) -> Result<Survey, LoadError> {
    let mut survey = Survey {
        index: options.index_dir().canonicalize().ok(),
        ..Survey::default()
    };
    survey.walk(&options.dir, "")?;
    survey.found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    survey.ignored.sort_unstable();
    if survey.found.is_empty() {
        return Err(LoadError::NoFiles(options.dir.clone()));
    }
    Ok(survey)
}

impl Survey {
    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<(), LoadError> {
        let listing = || LoadError::io("listing", folder);
        let whole = folder.canonicalize().map_err(listing())?;
        if self.entered.contains(&whole) || self.index.as_ref() == Some(&whole) {
            return Ok(());
        }
        self.entered.push(whole);
        for entry in fs::read_dir(folder).map_err(listing())? {
            let entry = entry.map_err(listing())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                self.enter(&entry.path(), format!("{prefix}{name}"))?;
            }
        }
        self.entered.pop();
        Ok(())
    }

    /// Follows links, as people have them where data lie on another disk.
    fn enter(&mut self, path: &Path, name: String) -> Result<(), LoadError> {
        let metadata = fs::metadata(path).map_err(LoadError::io("looking at", path))?;
        if metadata.is_dir() {
            return self.walk(path, &format!("{name}/"));
        }
        let packed = match content(&name, path, &metadata)? {
            Content::Other => {
                self.ignored.push(name);
                return Ok(());
            }
            Content::Plain => false,
            Content::Packed => true,
        };
        self.found.push(Found {
            name,
            path: path.to_owned(),
            stamp: Stamp::of(&metadata),
            packed,
        });
        Ok(())
    }
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
        let decoder = MultiGzDecoder::new(&head[..]);
        let _as_far_as_it_goes = decoder.take(SNIFFED).read_to_end(&mut plain);
        head = plain;
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    let is_resource = text.trim_ascii_start().starts_with(b"{")
        && memmem::find(text, b"\"resourceType\"").is_some();
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
