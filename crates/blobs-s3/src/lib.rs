//! Objects in S3-compatible storage.
//!
//! An object is created only where none is, by `If-None-Match: *`, and it carries a mark that no
//! other write has. So when an answer is lost, a look at the object tells whose it is. Stores that
//! ignore the condition are found by [`S3Blobs::probe`].

mod canary;
mod connect;
mod creation;
mod failure;
mod label;
mod layout;
mod link;
mod listing;
mod multipart;
mod options;
mod probe;
mod store;
mod sweep;
mod writer;

pub use connect::S3Blobs;
pub use options::{LEAST_PART_BYTES, S3Credentials, S3Encryption, S3Options};
pub use sluice_ports::{Finding, Severity};
