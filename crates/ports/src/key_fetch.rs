//! Key sets that clients and OAuth servers publish.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::PortError;

/// A JWK Set as it was fetched, not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedKeys {
    /// The body, of at most 64 KiB.
    pub body: Bytes,
    /// How long it may be kept as its `Cache-Control` says: zero for `no-store`; `None` when
    /// nothing is said.
    pub life: Option<Duration>,
}

/// Fetches key sets from hosts that nobody here controls: over HTTPS, without redirects, bounded in
/// size and time, and not from inside our own network unless the operator says so.
#[async_trait]
pub trait KeyFetch: Send + Sync {
    /// Fetches the set at a URL that an operator registered. `Permanent` when it may not be fetched.
    async fn fetch(&self, url: &str) -> Result<FetchedKeys, PortError>;
}
