//! The Redis index against real servers: the shared one of the stack, and private ones that are
//! flushed, filled, paused and killed.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod chunks;
mod conformance;
mod faults;
mod full;
mod holds;
mod model;
mod repeats;
mod server;
mod shared;
