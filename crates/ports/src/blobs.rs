//! Objects: the journal and the data files.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sluice_fhir::Instant;

use crate::PortError;

/// A body, never held whole.
pub type ByteStream = BoxStream<'static, Result<Bytes, PortError>>;

/// How a create-only write ended. Exactly one of any number of racing writers hears `Created`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The object is now there, whole and durable.
    Created,
    /// Someone else's is there, untouched.
    Exists,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A signed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The URL. It is a secret while it works.
    pub url: String,
    /// How long it works.
    pub life: Duration,
}

/// Keeps objects. An object is there whole or not at all, and never changes.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Writes a small object, only if there is none. Durable on return.
    async fn create(&self, key: &str, body: Bytes) -> Result<Creation, PortError>;
    /// Starts a large object. Nothing is visible before [`BlobWriter::finish`].
    async fn start(&self, key: &str) -> Result<Box<dyn BlobWriter>, PortError>;
    /// Reads a small object whole; `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, PortError>;
    /// Looks at an object; `None` when there is none.
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, PortError>;
    /// Reads a part of an object; `NotFound` when there is none. A stream that has begun goes on
    /// to its end even if the object is deleted meanwhile.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, PortError>;
    /// Objects below a prefix that ends in `/`, in order of their keys, at most `limit`, beginning
    /// after the key `after`.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, PortError>;
    /// The names one level below a prefix that ends in `/`, under which there are objects; sorted.
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError>;
    /// A URL at which anyone may fetch the object for `life`, or for less if the store has reasons;
    /// `None` when the store has no such links. A key that ends in `.ndjson` is served as
    /// `application/fhir+ndjson`, and with `.gz` behind that as its gzip `Content-Encoding`.
    async fn link(&self, key: &str, life: Duration) -> Result<Option<Link>, PortError>;
    /// Frees what writers that died left unfinished, if they began more than `older_than` ago; says
    /// how many. A store that loses such by itself has nothing to do.
    async fn sweep_unfinished(
        &self,
        older_than: Duration,
        now: Instant,
    ) -> Result<usize, PortError> {
        let _nothing_to_do = (older_than, now);
        Ok(0)
    }
    /// Deletes objects; those that are not there are fine.
    async fn delete(&self, keys: &[String]) -> Result<(), PortError>;
}

/// A large object on its way. Dropped unfinished, it leaves nothing behind that can be seen.
#[async_trait]
pub trait BlobWriter: Send {
    /// Adds bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError>;
    /// Makes it visible, only if there is none. Durable on return.
    async fn finish(self: Box<Self>) -> Result<Creation, PortError>;
    /// Throws it away and frees what it took.
    async fn abort(self: Box<Self>) -> Result<(), PortError>;
}
