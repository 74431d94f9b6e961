//! The admin port over a real socket: who is let in, every route, every refusal.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod clients;
mod operators;
mod site;
mod stopping;
