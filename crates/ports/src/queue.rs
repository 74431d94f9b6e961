//! Hints between services, at least once and in no order.

use std::time::Duration;

use async_trait::async_trait;
use sluice_model::{Hint, Lane};

use crate::PortError;

/// What to do with a message once it is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Done with it.
    Ack,
    /// Deliver it again, one attempt older, not before this long from now.
    RetryAfter(Duration),
    /// Put it on the dead lane.
    DeadLetter,
}

/// A received message. Dropped unsettled, it comes back.
#[async_trait]
pub trait Delivery: Send {
    /// The hint.
    fn hint(&self) -> &Hint;
    /// How often it was retried before: 0 the first time. Redelivery after a drop does not count.
    fn attempt(&self) -> u32;
    /// Settles it; by value, so at most once.
    async fn settle(self: Box<Self>, how: Settle) -> Result<(), PortError>;
}

/// Carries hints.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Returns once the message cannot be lost by one process dying.
    async fn send(&self, hint: Hint) -> Result<(), PortError>;
    /// Waits for the next message of a lane.
    async fn receive(&self, lane: Lane) -> Result<Box<dyn Delivery>, PortError>;
}
