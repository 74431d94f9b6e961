//! The bucket as the port wants it.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, try_unfold};
use sluice_fhir::Instant;
use sluice_ports::{BlobInfo, BlobWriter, Blobs, ByteStream, Creation, Link, PortError, PortKind};

use crate::S3Blobs;
use crate::connect::Shared;
use crate::creation::bytes;
use crate::failure::{failed, is_missing, status};
use crate::writer::Writer;

const READING: &str = "reading an object";

impl Shared {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, PortError> {
        let get = self.client.get_object().bucket(self.bucket());
        match get.key(self.full(key)).send().await {
            Ok(found) => match found.body.collect().await {
                Ok(body) => Ok(Some(body.into_bytes())),
                Err(error) => Err(PortError::transient(READING, error)),
            },
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(READING, error)),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, PortError> {
        let head = self.client.head_object().bucket(self.bucket());
        match head.key(self.full(key)).send().await {
            Ok(found) => Ok(Some(BlobInfo {
                key: key.to_owned(),
                size: bytes(found.content_length()),
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("looking at an object", error)),
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, PortError> {
        // HTTP has no way to ask for nothing.
        if range.is_empty() {
            return match self.head(key).await? {
                Some(_) => Ok(stream::empty().boxed()),
                None => Err(PortError::new(PortKind::NotFound, READING)),
            };
        }
        let get = self.client.get_object().bucket(self.bucket());
        // Some stores count with a sign.
        let range = match i64::try_from(range.end - 1) {
            Ok(last) => format!("bytes={}-{last}", range.start),
            Err(_) => format!("bytes={}-", range.start),
        };
        let found = match get.key(self.full(key)).range(range).send().await {
            Ok(found) => found,
            // It begins behind the end.
            Err(error) if status(&error) == Some(416) => return Ok(stream::empty().boxed()),
            Err(error) => return Err(failed(READING, error)),
        };
        let step = |mut body: aws_sdk_s3::primitives::ByteStream| async move {
            match body.try_next().await {
                Ok(bytes) => Ok(bytes.map(|bytes| (bytes, body))),
                Err(error) => Err(PortError::transient(READING, error)),
            }
        };
        Ok(try_unfold(found.body, step).boxed())
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn create(&self, key: &str, body: Bytes) -> Result<Creation, PortError> {
        self.shared.put(key, body).await
    }

    async fn start(&self, key: &str) -> Result<Box<dyn BlobWriter>, PortError> {
        Ok(Box::new(Writer::new(Arc::clone(&self.shared), key)))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, PortError> {
        self.shared.get(key).await
    }

    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, PortError> {
        self.shared.head(key).await
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, PortError> {
        self.shared.read(key, range).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, PortError> {
        self.shared.list(prefix, after, limit).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        self.shared.folders(prefix).await
    }

    async fn link(&self, key: &str, life: Duration) -> Result<Option<Link>, PortError> {
        self.shared.sign(key, life).await.map(Some)
    }

    async fn sweep_unfinished(
        &self,
        older_than: Duration,
        now: Instant,
    ) -> Result<usize, PortError> {
        let since = u64::try_from(now.millis()).unwrap_or(0);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(since);
        self.sweep_uploads(older_than, now).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), PortError> {
        self.shared.delete(keys).await
    }
}
