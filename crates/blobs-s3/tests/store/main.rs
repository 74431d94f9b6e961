//! The adapter against a real store, and against one whose answers get lost.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod bucket;
mod faults;
mod links;
mod probing;
mod proxy;
mod refusals;
mod scratch;
mod uploads;
