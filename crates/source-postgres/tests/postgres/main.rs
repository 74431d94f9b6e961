//! The PostgreSQL source against real servers: the shared one of the stack, each test in a database of
//! its own, and private ones that are killed, followed and pooled.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod database;
mod long;
mod mapped;
mod population;
mod servers;
mod time;
mod writing;
