//! A place of its own for every test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use bytes::Bytes;
use sluice_blobs_s3::{LEAST_PART_BYTES, S3Blobs, S3Credentials, S3Options};
use sluice_ports::{Blobs, Creation, PortError};
use sluice_testkit::stack;

static SCRATCHES: AtomicU32 = AtomicU32::new(0);

#[expect(clippy::disallowed_methods, reason = "the store has no manual clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn endpoint() -> String {
    stack("SLUICE_S3__ENDPOINT")
}

/// Options for a prefix that nobody else has.
pub(crate) fn options(name: &str) -> S3Options {
    let bucket = stack("SLUICE_PORTS__BLOBS");
    let bucket = bucket.strip_prefix("s3://").unwrap().to_owned();
    let nanos = now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let number = SCRATCHES.fetch_add(1, Ordering::Relaxed);
    let place = (std::process::id(), number, nanos.subsec_nanos());
    S3Options {
        prefix: format!("test-{name}-{}-{}-{}", place.0, place.1, place.2),
        endpoint: Some(endpoint()),
        path_style: true,
        credentials: S3Credentials::Static {
            access_key_id: stack("SLUICE_S3__ACCESS_KEY_ID"),
            secret_access_key: stack("SLUICE_S3__SECRET_ACCESS_KEY"),
            session_token: None,
        },
        part_bytes: LEAST_PART_BYTES,
        parts_in_flight: 2,
        ..S3Options::new(bucket, stack("SLUICE_S3__REGION"))
    }
}

/// A store that is emptied in the end.
pub(crate) struct Scratch {
    pub(crate) store: S3Blobs,
    pub(crate) options: S3Options,
}

impl Scratch {
    pub(crate) async fn new(name: &str) -> Self {
        Self::with(options(name)).await
    }

    pub(crate) async fn with(options: S3Options) -> Self {
        let store = S3Blobs::connect(options.clone()).await.unwrap();
        Self { store, options }
    }

    /// Unfinished uploads below the prefix.
    pub(crate) async fn uploads(&self) -> usize {
        let list = raw().list_multipart_uploads().bucket(&self.options.bucket);
        let list = list.prefix(format!("{}/", self.options.prefix));
        list.send().await.unwrap().uploads().len()
    }

    pub(crate) async fn no_uploads_soon(&self) {
        for _ in 0..100 {
            if self.uploads().await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.uploads().await, 0, "uploads are left");
    }

    pub(crate) async fn clear(self) {
        // By the straight way: the options may lead through a proxy that breaks things.
        let straight = S3Options {
            endpoint: Some(endpoint()),
            ..self.options
        };
        let store = S3Blobs::connect(straight).await.unwrap();
        let found = store.list("", None, 10_000).await.unwrap();
        let keys: Vec<_> = found.into_iter().map(|info| info.key).collect();
        store.delete(&keys).await.unwrap();
        store.sweep_uploads(Duration::ZERO, now()).await.unwrap();
    }
}

/// A client with nothing of ours around it.
pub(crate) fn raw() -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let id = stack("SLUICE_S3__ACCESS_KEY_ID");
    let secret = stack("SLUICE_S3__SECRET_ACCESS_KEY");
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .region(Region::new(stack("SLUICE_S3__REGION")))
        .endpoint_url(endpoint())
        .force_path_style(true);
    Client::from_conf(config.build())
}

/// Bytes that differ from place to place.
pub(crate) fn noise(size: usize) -> Bytes {
    (0..size)
        .map(|at| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).unwrap())
        .collect()
}

/// Writes an object in pieces of 1 MiB.
pub(crate) async fn write(
    store: &S3Blobs,
    key: &str,
    mut body: Bytes,
) -> Result<Creation, PortError> {
    let mut writer = store.start(key).await?;
    while !body.is_empty() {
        let piece = body.split_to(body.len().min(1 << 20));
        writer.write(piece).await?;
    }
    writer.finish().await
}
