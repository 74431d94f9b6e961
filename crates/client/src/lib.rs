//! The export client as a library: kicks off, polls as told, downloads in parallel, verifies, and
//! goes on where it was interrupted. Works with any FHIR Bulk Data server.

mod access;
mod bulk;
mod check;
mod der;
mod download;
mod error;
mod event;
mod export;
mod http;
mod key;
mod manifest;
mod options;
mod retry_after;
mod smart;
mod state;
mod tokens;

pub use bulk::{BulkClient, Poll};
pub use error::ExportError;
pub use event::{Event, Observer};
pub use export::{Summary, export};
pub use key::{KeyError, PrivateKey};
pub use manifest::{Entry, Manifest, PageLink};
pub use options::{ExportOptions, Level};
pub use smart::Credentials;
pub use url::Url;
