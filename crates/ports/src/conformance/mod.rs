//! What every adapter of a port must do, as tests that any adapter can run.
//!
//! Each suite panics with what was wrong, and passes errors of the adapter on.

mod audit_sink;
mod blobs;
mod deletions;
mod index;
mod queue;
mod source;

pub use audit_sink::audit_sink;
pub use blobs::blobs;
pub use deletions::{Deletions, deletions};
pub use index::index;
pub use queue::queue;
pub use source::{Population, Promise, source};

use std::time::Duration;

use futures::future::BoxFuture;

/// Lets time pass for an adapter: by moving its clock or by waiting.
pub type Pass<'a> = &'a (dyn Fn(Duration) -> BoxFuture<'a, ()> + Sync);

/// Reads what an adapter has written, line by line.
pub type ReadLines<'a> = &'a (dyn Fn() -> BoxFuture<'a, Vec<String>> + Sync);
