//! Turns the URIs of the settings into adapters. The only crate that sees every adapter.

use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use sluice_local::ndjson::{LoadProgress, NdjsonOptions, NdjsonSource};
use sluice_local::{DirectoryBlobs, MemoryIndex, MemoryQueue};
use sluice_ports::{Blobs, Clock, Index, Queue, Source};

pub use sluice_local::ndjson::{Catalog, LoadProgress as SourceProgress};
pub use sluice_local::{SystemClock, SystemEntropy};

/// The index behind a URI.
pub fn index(uri: &str, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Index>> {
    match uri {
        "memory:" => Ok(Arc::new(MemoryIndex::new(clock))),
        other => bail!("ports.index is {other:?}: this build knows memory:"),
    }
}

/// The queue behind a URI.
pub fn queue(uri: &str) -> anyhow::Result<Arc<dyn Queue>> {
    match uri {
        "memory:" => Ok(Arc::new(MemoryQueue::default())),
        other => bail!("ports.queue is {other:?}: this build knows memory:"),
    }
}

/// The object store behind a URI; `objects` is where `file:` alone puts it.
pub fn blobs(uri: &str, objects: &Path) -> anyhow::Result<Arc<dyn Blobs>> {
    let Some(folder) = uri.strip_prefix("file:") else {
        bail!("ports.blobs is {uri:?}: this build knows file:DIR");
    };
    let folder = match folder {
        "" => objects,
        folder => Path::new(folder),
    };
    let store = DirectoryBlobs::open(folder)
        .map_err(|error| anyhow::anyhow!("{} {}", error.chain(), folder.display()))?;
    Ok(Arc::new(store))
}

/// A source that is ready to be read, and what it holds.
pub struct OpenSource {
    /// The source.
    pub source: Arc<dyn Source>,
    /// What it holds.
    pub catalog: Catalog,
}

/// The source behind a URI. Blocks while data is loaded and tells `progress`. `indexes` is where
/// the index of a folder goes that cannot be written to.
pub fn source(
    uri: &str,
    indexes: &Path,
    clock: Arc<dyn Clock>,
    progress: impl Fn(LoadProgress) + Send + Sync,
) -> anyhow::Result<OpenSource> {
    let Some(path) = uri.strip_prefix("ndjson:") else {
        bail!("source {uri:?}: this build knows ndjson:DIR");
    };
    let mut options =
        NdjsonOptions::from_uri_path(path).with_context(|| format!("source {uri:?}"))?;
    if options.index_dir.is_none() && !can_hold_an_index(&options.dir) {
        options.index_dir = Some(index_elsewhere(indexes, &options.dir));
    }
    let source = NdjsonSource::open(options, clock, progress)
        .with_context(|| format!("loading source {uri:?}"))?;
    let catalog = source.catalog();
    Ok(OpenSource {
        source: Arc::new(source),
        catalog,
    })
}

/// Hospital data often lies on a share that is mounted for reading only.
fn can_hold_an_index(dir: &Path) -> bool {
    let index = dir.join(".sluice");
    !dir.is_dir()
        || DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(index)
            .is_ok()
}

/// One folder for each data folder, named after its whole path, and no two alike.
fn index_elsewhere(indexes: &Path, dir: &Path) -> PathBuf {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mut name = String::new();
    for byte in whole.as_os_str().as_bytes() {
        match byte {
            b'/' => name.push('_'),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(*byte)),
            byte => name.push_str(&format!("-{byte:02x}")),
        }
    }
    indexes.join(name)
}
