//! The real program, as a person, a script and a crash would meet it.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod clients;
mod commands;
mod crash;
mod database;
mod folder;
mod gate;
mod memory;
mod operators;
mod organized;
mod resume;
mod server;
