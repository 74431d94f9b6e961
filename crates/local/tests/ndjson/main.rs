//! The folder of NDJSON files, from outside.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test by panicking"
)]

mod changes;
mod errors;
mod folder;
mod groups;
mod population;
mod property;
mod reading;
