//! A large object on its way: in one request if it turns out small, else in parts.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::types::CompletedPart;
use bytes::{Bytes, BytesMut};
use sluice_ports::{BlobWriter, Creation, PortError};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

use crate::connect::Shared;
use crate::multipart::Upload;

/// S3 takes no more.
const MOST_PARTS: i32 = 10_000;

pub(crate) struct Writer {
    store: Arc<Shared>,
    key: String,
    /// At most one part; the last one is always here, so an upload never ends in an empty part.
    buffer: BytesMut,
    size: u64,
    /// There is none while everything fits into one request.
    upload: Option<Upload>,
    numbered: i32,
    flying: JoinSet<Result<CompletedPart, PortError>>,
    landed: Vec<CompletedPart>,
    /// Set while bytes are on their way from the caller. Stays set when that fails or is cancelled,
    /// for then nobody knows which of them are missing.
    broken: bool,
}

impl Writer {
    pub(crate) fn new(store: Arc<Shared>, key: &str) -> Self {
        Self {
            store,
            key: key.to_owned(),
            buffer: BytesMut::new(),
            size: 0,
            upload: None,
            numbered: 0,
            flying: JoinSet::new(),
            landed: Vec::new(),
            broken: false,
        }
    }

    async fn take(&mut self, mut bytes: Bytes) -> Result<(), PortError> {
        let part = self.store.options.part_bytes;
        while !bytes.is_empty() {
            if self.buffer.len() >= part {
                self.send().await?;
            }
            let room = part - self.buffer.len();
            let taken = bytes.split_to(room.min(bytes.len()));
            self.size += taken.len() as u64;
            self.buffer.extend_from_slice(&taken);
        }
        Ok(())
    }

    /// Sends the buffer as a part, once there is a place for it.
    async fn send(&mut self) -> Result<(), PortError> {
        if self.numbered >= MOST_PARTS {
            let size = self.store.options.part_bytes;
            return Err(PortError::permanent(
                "uploading a part",
                format!(
                    "an object has at most {MOST_PARTS} parts, here of {size} bytes; raise the part size"
                ),
            ));
        }
        let upload = if let Some(upload) = &self.upload {
            upload.clone()
        } else {
            let begun = self.store.begin(&self.key).await?;
            self.upload.insert(begun).clone()
        };
        while self.flying.len() >= self.store.options.parts_in_flight {
            self.land().await?;
        }
        self.numbered += 1;
        let (store, number) = (Arc::clone(&self.store), self.numbered);
        let next = BytesMut::with_capacity(self.buffer.len());
        let body = std::mem::replace(&mut self.buffer, next).freeze();
        self.flying
            .spawn(async move { store.part(&upload, number, body).await });
        Ok(())
    }

    async fn land(&mut self) -> Result<(), PortError> {
        if let Some(landed) = self.flying.join_next().await {
            self.landed.push(landed.map_err(lost)??);
        }
        Ok(())
    }

    async fn complete(&mut self, upload: &Upload) -> Result<Creation, PortError> {
        self.send().await?;
        while !self.flying.is_empty() {
            self.land().await?;
        }
        let mut parts = std::mem::take(&mut self.landed);
        parts.sort_unstable_by_key(CompletedPart::part_number);
        self.store.complete(upload, parts, self.size).await
    }
}

fn lost(error: JoinError) -> PortError {
    PortError::transient("uploading a part", error)
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        if self.broken {
            return Err(PortError::transient(
                "writing an object",
                "an earlier part of it has failed",
            ));
        }
        self.broken = true;
        self.take(bytes).await?;
        self.broken = false;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Creation, PortError> {
        if self.broken {
            return Err(PortError::transient(
                "finishing an object",
                "a part of it has failed",
            ));
        }
        let Some(upload) = self.upload.clone() else {
            let body = std::mem::take(&mut self.buffer).freeze();
            return self.store.put(&self.key, body).await;
        };
        let ended = self.complete(&upload).await?;
        if ended == Creation::Created {
            self.upload = None;
        }
        // Else dropping aborts it: nobody has to wait for that.
        Ok(ended)
    }

    async fn abort(mut self: Box<Self>) -> Result<(), PortError> {
        // A part that is still on its way could land behind the abort and stay.
        self.flying.shutdown().await;
        let Some(upload) = self.upload.clone() else {
            return Ok(());
        };
        self.store.abort(&upload).await?;
        self.upload = None;
        Ok(())
    }
}

impl Drop for Writer {
    /// Best effort; what it misses falls to the sweep and to the bucket's lifecycle rule.
    fn drop(&mut self) {
        let (Some(upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) else {
            return;
        };
        let (store, mut flying) = (Arc::clone(&self.store), std::mem::take(&mut self.flying));
        runtime.spawn(async move {
            flying.shutdown().await;
            if let Err(error) = store.abort(&upload).await {
                let error = error.chain();
                tracing::warn!(error, "an unfinished upload stays until it is swept");
            }
        });
    }
}
