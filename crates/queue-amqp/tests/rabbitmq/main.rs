//! The adapter against a real RabbitMQ; tests carry the names of the fault matrix's rows.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod contract;
mod faults;
mod management;
mod proxy;
mod returns;
mod rig;
mod servers;
mod versions;
