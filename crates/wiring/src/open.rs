//! From a URI to an adapter.

use std::fmt::Write;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use sluice_engine::BlobsSink;
use sluice_local::ndjson::{LoadProgress, NdjsonOptions, NdjsonSource};
use sluice_local::synthetic::{SyntheticOptions, SyntheticSource};
use sluice_local::{DirectoryBlobs, FileSink, MemoryIndex, MemoryQueue, StdoutSink};
use sluice_ports::{AuditSink, Blobs, Clock, Entropy, Index, PortError, Queue, Source};
use sluice_runtime::{Settings, TenantSection};

use crate::attachments::AbsoluteAttachments;
use crate::{Catalog, Figures, Servers};

/// The index that the settings name.
pub async fn index(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    servers: &mut Servers,
) -> anyhow::Result<Arc<dyn Index>> {
    let address = &settings.ports.index;
    match address.reveal() {
        "memory:" => Ok(Arc::new(MemoryIndex::new(clock))),
        uri if uri.starts_with("redis://") || uri.starts_with("rediss://") => {
            servers.index(settings).await
        }
        _ => bail!("ports.index is {address}: there are memory:, redis:// and rediss://"),
    }
}

/// The queue that the settings name, for a process that exports so many chunks at once.
pub async fn queue(
    settings: &Settings,
    slots: usize,
    entropy: Arc<dyn Entropy>,
    servers: &mut Servers,
) -> anyhow::Result<Arc<dyn Queue>> {
    let address = &settings.ports.queue;
    match address.reveal() {
        "memory:" => Ok(Arc::new(MemoryQueue::default())),
        uri if uri.starts_with("amqp://") || uri.starts_with("amqps://") => {
            servers.queue(settings, slots, entropy).await
        }
        _ => bail!("ports.queue is {address}: there are memory:, amqp:// and amqps://"),
    }
}

/// The object store that the settings name; `objects` is where `file:` alone puts it.
pub async fn blobs(
    settings: &Settings,
    objects: &Path,
    servers: &mut Servers,
) -> anyhow::Result<Arc<dyn Blobs>> {
    store(settings, objects, servers, DirectoryBlobs::open).await
}

/// The same, beside a process that has it open.
pub async fn blobs_beside(
    settings: &Settings,
    objects: &Path,
    servers: &mut Servers,
    entropy: &dyn Entropy,
) -> anyhow::Result<Arc<dyn Blobs>> {
    let open = |folder: &Path| DirectoryBlobs::beside(folder, entropy);
    store(settings, objects, servers, open).await
}

async fn store(
    settings: &Settings,
    objects: &Path,
    servers: &mut Servers,
    open: impl FnOnce(&Path) -> Result<DirectoryBlobs, PortError>,
) -> anyhow::Result<Arc<dyn Blobs>> {
    let uri = settings.ports.blobs.as_str();
    if let Some(place) = uri.strip_prefix("s3://") {
        return servers.blobs(place, settings).await;
    }
    let Some(folder) = uri.strip_prefix("file:") else {
        bail!("ports.blobs is {uri:?}: there are file:DIR and s3://BUCKET[/PREFIX]");
    };
    let folder = match folder {
        "" => objects,
        folder => Path::new(folder),
    };
    match open(folder) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => bail!("{} {}", error.chain(), folder.display()),
    }
}

/// Where the settings want the audit to go for good; `blobs` is the store of everything else. Nothing
/// is written yet.
pub async fn audit_sink(
    settings: &Settings,
    blobs: &Arc<dyn Blobs>,
    servers: &mut Servers,
) -> anyhow::Result<Arc<dyn AuditSink>> {
    let uri = settings.audit.sink.as_str();
    if let Some(path) = uri.strip_prefix("file:") {
        return Ok(Arc::new(FileSink::new(Path::new(path))));
    }
    if let Some(place) = uri.strip_prefix("s3://") {
        let blobs = servers.audit_blobs(place, settings).await?;
        return Ok(Arc::new(BlobsSink::new(blobs)));
    }
    match uri {
        "blobs:" => Ok(Arc::new(BlobsSink::new(Arc::clone(blobs)))),
        "stdout:" => Ok(Arc::new(StdoutSink::default())),
        _ => bail!(
            "audit.sink is {uri:?}: there are blobs:, stdout:, file:PATH and s3://BUCKET/PREFIX"
        ),
    }
}

/// A source that is ready to be read, and what it holds.
pub struct OpenSource {
    /// The source.
    pub source: Arc<dyn Source>,
    /// What it holds.
    pub catalog: Catalog,
    /// What it tells of itself, if it does.
    pub figures: Option<Figures>,
}

const DATABASES: [&str; 2] = ["postgres://", "postgresql://"];
const FHIR_SERVERS: [&str; 2] = ["https://", "http://"];

fn begins_with(uri: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| uri.starts_with(start))
}

/// Whether a source is on another machine, which may not answer.
pub(crate) fn is_remote(uri: &str) -> bool {
    begins_with(uri, &DATABASES) || begins_with(uri, &FHIR_SERVERS)
}

/// The source of a tenant. Tells `progress` while a folder is read; `indexes` is where the index of a
/// folder goes that cannot be written to.
pub async fn source(
    section: &TenantSection,
    indexes: &Path,
    clock: Arc<dyn Clock>,
    progress: impl Fn(LoadProgress) + Send + Sync + 'static,
) -> anyhow::Result<OpenSource> {
    let opened = bare_source(section, indexes, clock, progress).await?;
    Ok(match &section.attachments {
        None => opened,
        Some(base) => OpenSource {
            source: Arc::new(AbsoluteAttachments::new(opened.source, base)),
            ..opened
        },
    })
}

async fn bare_source(
    section: &TenantSection,
    indexes: &Path,
    clock: Arc<dyn Clock>,
    progress: impl Fn(LoadProgress) + Send + Sync + 'static,
) -> anyhow::Result<OpenSource> {
    let uri = section.source.clone();
    if begins_with(&uri, &DATABASES) {
        return crate::postgres::source(section).await;
    }
    if begins_with(&uri, &FHIR_SERVERS) {
        return crate::fhir::source(section, clock).await;
    }
    let indexes = indexes.to_owned();
    let open = move || local_source(&uri, &indexes, clock, progress);
    tokio::task::spawn_blocking(open).await?
}

/// A source of this machine. Blocks while data is loaded.
fn local_source(
    uri: &str,
    indexes: &Path,
    clock: Arc<dyn Clock>,
    progress: impl Fn(LoadProgress) + Send + Sync,
) -> anyhow::Result<OpenSource> {
    if let Some(options) = uri.strip_prefix("synthetic:") {
        return synthetic(uri, options, clock);
    }
    let Some(path) = uri.strip_prefix("ndjson:") else {
        bail!(
            "source {uri:?}: there are ndjson:DIR, synthetic:?patients=NUMBER, postgres://… and https://…"
        );
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
        figures: None,
    })
}

fn synthetic(uri: &str, options: &str, clock: Arc<dyn Clock>) -> anyhow::Result<OpenSource> {
    let options =
        SyntheticOptions::from_uri_path(options).with_context(|| format!("source {uri:?}"))?;
    let source = SyntheticSource::new(options, clock);
    let catalog = source.catalog();
    Ok(OpenSource {
        source: Arc::new(source),
        catalog,
        figures: None,
    })
}

/// Hospital data often lies on a share that is mounted for reading only.
fn can_hold_an_index(dir: &Path) -> bool {
    let index = dir.join(".sluice");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(index);
    !dir.is_dir() || made.is_ok()
}

/// One folder for each data folder, named after its whole path, and no two alike.
fn index_elsewhere(indexes: &Path, dir: &Path) -> PathBuf {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mut name = String::new();
    for byte in whole.as_os_str().as_bytes() {
        match byte {
            b'/' => name.push('_'),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(*byte)),
            byte => {
                let _text_takes_all = write!(name, "-{byte:02x}");
            }
        }
    }
    indexes.join(name)
}

#[cfg(test)]
mod tests {
    use sluice_local::SystemClock;

    use super::*;

    fn open(uri: &str) -> anyhow::Result<OpenSource> {
        local_source(
            uri,
            Path::new("no-such-folder"),
            Arc::new(SystemClock),
            |_| {},
        )
    }

    #[test]
    fn made_up_patients_need_no_folder() {
        let catalog = open("synthetic:?patients=100&observations=2")
            .unwrap()
            .catalog;
        assert_eq!(
            (catalog.resources, catalog.files),
            (302, 0),
            "two are Groups"
        );
        assert!(open("synthetic:").is_ok());
    }

    #[tokio::test]
    async fn the_audit_goes_where_the_settings_say() {
        let home = tempfile::tempdir().unwrap();
        let store = DirectoryBlobs::open(&home.path().join("objects")).unwrap();
        let store: Arc<dyn Blobs> = Arc::new(store);
        let open = async |sink: String| {
            let mut settings = Settings::default();
            settings.audit.sink = sink;
            audit_sink(&settings, &store, &mut Servers::default()).await
        };
        let event = ["{}".into()];
        let sink = open("blobs:".to_owned()).await.unwrap();
        sink.write(&event).await.unwrap();
        assert_eq!(store.list("_audit/log/", None, 9).await.unwrap().len(), 1);

        let path = home.path().join("audit.ndjson");
        let sink = open(format!("file:{}", path.display())).await.unwrap();
        assert!(!path.exists(), "a gateway opens it and never writes");
        sink.write(&event).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");

        assert!(open("stdout:".to_owned()).await.is_ok());
        let refused = open("syslog:".to_owned()).await.err().unwrap();
        assert!(format!("{refused:#}").contains("blobs:"));
    }

    #[test]
    fn a_refusal_says_what_may_be_said() {
        for (uri, expected) in [
            (
                "folder:data",
                "there are ndjson:DIR, synthetic:?patients=NUMBER",
            ),
            (
                "synthetic:?size=3",
                "unknown option \"size\"; there are patients,",
            ),
            (
                "synthetic:?bytes=3",
                "option bytes takes a whole number from 390",
            ),
        ] {
            let refused = format!("{:#}", open(uri).err().unwrap());
            assert!(
                refused.contains(expected) && refused.contains(uri),
                "{refused}"
            );
        }
    }
}
