//! From a URI to an adapter.

use std::fmt::Write;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use sluice_blobs_s3::{S3Blobs, S3Credentials, S3Encryption, S3Options};
use sluice_index_redis::{RedisIndex, RedisOptions};
use sluice_local::ndjson::{LoadProgress, NdjsonOptions, NdjsonSource};
use sluice_local::{DirectoryBlobs, MemoryIndex, MemoryQueue};
use sluice_ports::{Blobs, Clock, Entropy, Index, PortError, Queue, Source};
use sluice_queue_amqp::{AmqpOptions, AmqpQueue};
use sluice_runtime::{EncryptionSetting, S3Section, Settings};

use crate::Catalog;

/// Adapters that can do more than their port says.
#[derive(Clone, Default)]
pub struct Adapters {
    pub(crate) redis: Option<Arc<RedisIndex>>,
    pub(crate) amqp: Option<Arc<AmqpQueue>>,
    pub(crate) s3: Option<Arc<S3Blobs>>,
}

/// What an error says, with all its causes, and on what.
fn told(what: &str) -> impl Fn(PortError) -> anyhow::Error + '_ {
    move |error| anyhow::anyhow!("{what}: {}", error.chain())
}

/// The index that the settings name.
pub async fn index(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    adapters: &mut Adapters,
) -> anyhow::Result<Arc<dyn Index>> {
    let address = &settings.ports.index;
    let uri = address.reveal();
    if uri == "memory:" {
        return Ok(Arc::new(MemoryIndex::new(clock)));
    }
    if !uri.starts_with("redis://") && !uri.starts_with("rediss://") {
        bail!("ports.index is {address}: this build knows memory:, redis:// and rediss://");
    }
    let wait = u64::from(settings.redis.response_milliseconds.get());
    let options = RedisOptions {
        prefix: settings.redis.prefix.clone(),
        response_timeout: Duration::from_millis(wait),
        ..RedisOptions::new(uri)
    };
    let redis = RedisIndex::connect(options).await;
    let redis = Arc::new(redis.map_err(told(&format!("ports.index {address}")))?);
    adapters.redis = Some(Arc::clone(&redis));
    Ok(redis)
}

/// The queue that the settings name, for a process that exports so many chunks at once.
pub async fn queue(
    settings: &Settings,
    slots: usize,
    entropy: Arc<dyn Entropy>,
    adapters: &mut Adapters,
) -> anyhow::Result<Arc<dyn Queue>> {
    let address = &settings.ports.queue;
    let uri = address.reveal();
    if uri == "memory:" {
        return Ok(Arc::new(MemoryQueue::default()));
    }
    if !uri.starts_with("amqp://") && !uri.starts_with("amqps://") {
        bail!("ports.queue is {address}: this build knows memory:, amqp:// and amqps://");
    }
    let options = AmqpOptions {
        prefix: settings.amqp.prefix.clone(),
        prefetch: u16::try_from(slots).unwrap_or(u16::MAX),
        confirm_timeout: Duration::from_secs(u64::from(settings.amqp.confirm_seconds.get())),
        ..AmqpOptions::new(uri)
    };
    let amqp = AmqpQueue::connect(options, entropy).await;
    let amqp = Arc::new(amqp.map_err(told(&format!("ports.queue {address}")))?);
    adapters.amqp = Some(Arc::clone(&amqp));
    Ok(amqp)
}

/// The object store that the settings name; `objects` is where `file:` alone puts it.
pub async fn blobs(
    settings: &Settings,
    objects: &Path,
    adapters: &mut Adapters,
) -> anyhow::Result<Arc<dyn Blobs>> {
    let uri = settings.ports.blobs.as_str();
    if let Some(folder) = uri.strip_prefix("file:") {
        let folder = match folder {
            "" => objects,
            folder => Path::new(folder),
        };
        let store = DirectoryBlobs::open(folder);
        return Ok(Arc::new(store.map_err(told(uri))?));
    }
    let Some(place) = uri.strip_prefix("s3://") else {
        bail!("ports.blobs is {uri:?}: this build knows file:DIR and s3://BUCKET[/PREFIX]");
    };
    let store = S3Blobs::connect(s3_options(place, &settings.s3)).await;
    let store = Arc::new(store.map_err(told(&format!("ports.blobs {uri}")))?);
    adapters.s3 = Some(Arc::clone(&store));
    Ok(store)
}

fn s3_options(place: &str, section: &S3Section) -> S3Options {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let credentials = match &section.access_key_id {
        Some(id) => S3Credentials::Static {
            access_key_id: id.clone(),
            secret_access_key: section.secret_access_key.reveal().to_owned(),
            session_token: None,
        },
        None => S3Credentials::Environment,
    };
    S3Options {
        prefix: prefix.to_owned(),
        endpoint: section.endpoint.clone(),
        public_endpoint: section.public_endpoint.clone(),
        path_style: section.path_style,
        credentials,
        part_bytes: size(section.part_mib.get()).saturating_mul(1 << 20),
        parts_in_flight: size(section.parts_in_flight.get()),
        encryption: match section.encryption {
            EncryptionSetting::Bucket => S3Encryption::BucketDefault,
            EncryptionSetting::SseS3 => S3Encryption::Sse,
            EncryptionSetting::SseKms => S3Encryption::Kms {
                key_id: section.kms_key_id.clone(),
            },
        },
        checksums_when_required: section.checksums_when_required,
        ..S3Options::new(bucket, &section.region)
    }
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
