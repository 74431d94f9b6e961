//! Hints over RabbitMQ.
//!
//! Quorum queues, persistent messages, publisher confirms with `mandatory`. Retries and dead
//! letters are published before the original is acknowledged, so nothing is lost in between.

mod backoff;
mod broker;
mod consumer;
mod delivery;
mod inbox;
mod link;
mod options;
mod publisher;
mod queue;
mod requeue;
mod topology;
mod unreadable;
mod wire;

pub use options::AmqpOptions;
pub use queue::AmqpQueue;
