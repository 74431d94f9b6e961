//! Turns settings into adapters. The only crate that sees every adapter.

mod deployment;
mod open;
mod probe;

pub use deployment::{Deployment, OnLoad, Role};
pub use open::{Adapters, OpenSource, blobs, index, queue, source};
pub use probe::{Finding, probe};
pub use sluice_local::ndjson::{Catalog, LoadProgress as SourceProgress};
pub use sluice_local::{SystemClock, SystemEntropy};
