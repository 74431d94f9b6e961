//! Turns settings into adapters. The only crate that sees every adapter.
//!
//! Those whose other side is a server come with the feature `servers`. A newcomer's `sluice` does
//! without, as the AWS SDK takes longer to build than all the rest.

mod access;
mod attachments;
mod deployment;
mod fhir;
mod figures;
mod late;
mod open;
mod postgres;
mod refusals;
mod registry;
#[cfg(feature = "servers")]
mod servers;
#[cfg(not(feature = "servers"))]
#[path = "no_servers.rs"]
#[expect(
    clippy::unused_async,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "it stands in for what must wait"
)]
mod servers;
mod watch;

pub use access::authorization;
pub use deployment::{Deployment, OnLoad, Role, Service};
pub use figures::Figures;
pub use open::{OpenSource, audit_sink, blobs, blobs_beside, index, queue, source};
pub use postgres::Database;
pub use registry::registry;
pub use servers::Servers;
pub use sluice_local::ndjson::{Catalog, LoadProgress as SourceProgress};
pub use sluice_local::{SystemClock, SystemEntropy};
pub use sluice_source_postgres::{
    Applied, Input as LoadInput, LoadProgress, LoadReport, Written as LoadTally,
};

/// Something that an operator should know of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub what: &'static str,
    /// Whether nothing works until it is mended.
    pub refuse: bool,
    /// What is wrong and what to do.
    pub text: String,
}
