//! Reads files into batches of lines: NDJSON, or JSON documents; plain or gzipped.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use serde_json::value::RawValue;
use sluice_fhir::compact;

/// Bytes of lines written together.
const BATCH_BYTES: usize = 8 << 20;
/// Lines written together.
const BATCH_LINES: usize = 10_000;

/// Something to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Resources: a file, or a folder of files.
    Resources(PathBuf),
    /// References of resources to delete, one a line.
    Deletions(PathBuf),
    /// Resources from standard input.
    Stdin,
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// `None` is standard input.
    pub(crate) path: Option<PathBuf>,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) is_deletions: bool,
}

/// Why loading stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The disk said no.
    #[error("reading {name}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing in a folder.
    #[error("{0} holds no .ndjson, .json or .gz files")]
    Nothing(String),
    /// The database said no.
    #[error("{}", .0.chain())]
    Port(#[from] sluice_ports::PortError),
}

/// Lines of one file.
pub(crate) struct Lines {
    pub(crate) file: Arc<Found>,
    /// Number and text.
    pub(crate) all: Vec<(u64, Bytes)>,
    size: usize,
}

impl Lines {
    fn new(file: &Arc<Found>) -> Self {
        Self {
            file: Arc::clone(file),
            all: Vec::new(),
            size: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.size >= BATCH_BYTES || self.all.len() >= BATCH_LINES
    }
}

fn failed(name: &str) -> impl Fn(io::Error) -> LoadError + '_ {
    move |source| LoadError::Io {
        name: name.to_owned(),
        source,
    }
}

/// The files of some inputs. Patients come first, so that they are numbered in the order of their file
/// and what is theirs lies in that order too; deletions come last.
pub(crate) fn find(inputs: &[Input]) -> Result<Vec<Found>, LoadError> {
    let mut found = Vec::new();
    for input in inputs {
        match input {
            Input::Stdin => found.push(Found {
                path: None,
                name: "standard input".to_owned(),
                bytes: 0,
                is_deletions: false,
            }),
            Input::Resources(path) if path.is_dir() => {
                let before = found.len();
                folder(path, &mut found)?;
                if found.len() == before {
                    return Err(LoadError::Nothing(path.display().to_string()));
                }
            }
            Input::Resources(path) => found.push(file(path, false)?),
            Input::Deletions(path) => found.push(file(path, true)?),
        }
    }
    let is_patients = |file: &Found| {
        let rest = file.name.strip_prefix("Patient");
        rest.is_some_and(|rest| !rest.starts_with(|first: char| first.is_ascii_alphabetic()))
    };
    found.sort_by_key(|file| (file.is_deletions, !is_patients(file)));
    Ok(found)
}

fn folder(path: &Path, found: &mut Vec<Found>) -> Result<(), LoadError> {
    let name = path.display().to_string();
    let entries = fs::read_dir(path).map_err(failed(&name))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(failed(&name))?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let is_data = name.is_some_and(|name| {
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            let ends = [".ndjson", ".jsonl", ".json"];
            !name.starts_with('.') && ends.iter().any(|end| name.ends_with(end))
        });
        if is_data && path.is_file() {
            found.push(file(&path, false)?);
        }
    }
    Ok(())
}

fn file(path: &Path, is_deletions: bool) -> Result<Found, LoadError> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy().into_owned();
    let bytes = fs::metadata(path).map_err(failed(&name))?.len();
    Ok(Found {
        path: Some(path.to_owned()),
        name,
        bytes,
        is_deletions,
    })
}

/// Counts what is read of a file as it lies there.
struct Counted<R> {
    inner: R,
    done: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let more = u64::try_from(read).unwrap_or(0);
        self.done.fetch_add(more, Ordering::Relaxed);
        Ok(read)
    }
}

/// Reads a file and gives its lines in batches, until nobody takes them; says whether it was read to
/// its end.
pub(crate) fn read(
    file: &Arc<Found>,
    done: &Arc<AtomicU64>,
    mut give: impl FnMut(Lines) -> bool,
) -> Result<bool, LoadError> {
    let failed = failed(&file.name);
    let raw: Box<dyn Read> = match &file.path {
        Some(path) => Box::new(File::open(path).map_err(&failed)?),
        None => Box::new(io::stdin().lock()),
    };
    let mut raw = BufReader::with_capacity(
        1 << 16,
        Counted {
            inner: raw,
            done: Arc::clone(done),
        },
    );
    let is_packed = raw.fill_buf().map_err(&failed)?.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn BufRead> = if is_packed {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw)))
    } else {
        Box::new(raw)
    };
    let mut first = Vec::new();
    reader.read_until(b'\n', &mut first).map_err(&failed)?;
    let is_cut = !file.is_deletions
        && !first.trim_ascii().is_empty()
        && serde_json::from_slice::<&RawValue>(first.trim_ascii())
            .is_err_and(|error| error.is_eof());
    let reader = io::Cursor::new(first).chain(reader);
    if is_cut {
        documents(file, reader, &mut give)
    } else {
        lines(file, reader, &mut give)
    }
    .map_err(failed)
}

fn lines(
    file: &Arc<Found>,
    mut reader: impl BufRead,
    give: &mut impl FnMut(Lines) -> bool,
) -> io::Result<bool> {
    let (mut batch, mut number) = (Lines::new(file), 0);
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let text = line
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&line)
            .trim_ascii();
        if text.is_empty() {
            continue;
        }
        batch.size += text.len();
        batch.all.push((number, Bytes::copy_from_slice(text)));
        if batch.is_full() && !give(std::mem::replace(&mut batch, Lines::new(file))) {
            return Ok(false);
        }
    }
    Ok(batch.all.is_empty() || give(batch))
}

/// Documents over several lines, such as a Bundle saved as a file. What follows a mistake in one
/// cannot be told apart any more, so it is the last.
fn documents(
    file: &Arc<Found>,
    reader: impl BufRead,
    give: &mut impl FnMut(Lines) -> bool,
) -> io::Result<bool> {
    let values = serde_json::Deserializer::from_reader(reader).into_iter::<Box<RawValue>>();
    for (number, value) in values.enumerate() {
        let mut batch = Lines::new(file);
        let number = u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
        let value = match value {
            Ok(value) => Bytes::from(compact(value.get().as_bytes()).into_owned()),
            Err(error) if error.is_io() => return Err(error.into()),
            // It is left out like a broken line.
            Err(_) => Bytes::from_static(b"{"),
        };
        let is_broken = value.len() == 1;
        batch.all.push((number, value));
        if !give(batch) {
            return Ok(false);
        }
        if is_broken {
            break;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(name: &str, content: &[u8]) -> Vec<(u64, String)> {
        let folder = std::env::temp_dir().join(format!("sluice-load-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        let found = Arc::new(file(&path, false).unwrap());
        let mut seen = Vec::new();
        let done = Arc::default();
        let to_the_end = read(&found, &done, |lines| {
            let text = |line: &Bytes| String::from_utf8(line.to_vec()).unwrap();
            seen.extend(lines.all.iter().map(|(at, line)| (*at, text(line))));
            true
        });
        assert!(to_the_end.unwrap());
        assert_eq!(done.load(Ordering::Relaxed), found.bytes);
        fs::remove_file(&path).unwrap();
        seen
    }

    #[test]
    fn lines_and_documents_are_told_apart() {
        let lines = read_all("a.ndjson", b"{\"a\":1}\r\n\n{\"b\":2}");
        assert_eq!(lines, [(1, "{\"a\":1}".into()), (3, "{\"b\":2}".into())]);
        let documents = read_all("a.json", b"{\n  \"a\": [1,\n 2]\n}\n{\"b\": 2}");
        assert_eq!(
            documents,
            [(1, "{\"a\":[1,2]}".into()), (2, "{\"b\":2}".into())]
        );
        let broken = read_all("b.json", b"{\n  \"a\": [1,\n 2]\n}\n{\"b\": 2");
        assert_eq!(broken[1], (2, "{".into()));
    }
}
