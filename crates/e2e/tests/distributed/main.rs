//! The three services as processes of their own, any number of each, over real RabbitMQ, Redis and
//! S3; and what happens when parts of that die. Rows of the fault matrix are named where they are.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test should end it"
)]

mod access;
mod balancer;
mod canary;
mod clients;
mod collector;
mod data;
mod database;
mod everything;
mod faults;
mod flow;
mod hybrid;
mod kills;
mod late;
mod moments;
mod rolling;
mod scale;
mod servers;
mod site;
mod telemetry;
mod upstream;
