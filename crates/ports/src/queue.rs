//! Hints between services, at least once and in no order.

use std::time::Duration;

use async_trait::async_trait;
use sluice_model::{Hint, Lane};

use crate::PortError;

/// What is sent: a hint, and the trace that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The hint.
    pub hint: Hint,
    /// The W3C `traceparent` of what caused it.
    pub traceparent: Option<String>,
}

impl From<Hint> for Message {
    fn from(hint: Hint) -> Self {
        Self {
            hint,
            traceparent: None,
        }
    }
}

/// What to do with a message once it is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Done with it.
    Ack,
    /// Deliver it again, one attempt older, not before this long from now.
    RetryAfter(Duration),
    /// Put it on the dead lane.
    DeadLetter,
    /// It comes back at once and no older, to whoever receives from the lane then: for who finds that
    /// the lane should be left alone.
    GiveBack,
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It took effect.
    Done,
    /// The message belonged to this process no more, and comes back to whoever is next.
    Lost,
}

/// A received message. Dropped unsettled, it comes back.
#[async_trait]
pub trait Delivery: Send {
    /// The hint.
    fn hint(&self) -> &Hint;
    /// Whether the hint still belongs to this process: false once the broker may have given it to
    /// another. Whoever works long asks now and then, and stops early (T2).
    fn is_held(&self) -> bool;
    /// How often it was retried before: 0 the first time. Redelivery after a drop does not count.
    fn attempt(&self) -> u32;
    /// Whether it may have been delivered before. A remark: nothing rests on it.
    fn is_redelivered(&self) -> bool;
    /// The trace that it belongs to.
    fn traceparent(&self) -> Option<&str>;
    /// Settles it; by value, so at most once.
    async fn settle(self: Box<Self>, how: Settle) -> Result<Settled, PortError>;
}

/// Carries hints.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Returns once the message cannot be lost by one process dying.
    async fn send(&self, message: Message) -> Result<(), PortError>;
    /// About how many messages of a lane wait to be received. Those that are held, or put off, do
    /// not count. Counts lag (T12): good for saving work, and nothing else.
    async fn waiting(&self, lane: Lane) -> Result<u32, PortError>;
    /// Nobody will receive from a lane for now: what has come for it and was not asked for goes to
    /// others, now and not when the process ends. What is held can still be settled. Whoever receives
    /// from the lane again begins anew.
    fn stop_receiving(&self, lane: Lane) {
        let _ = lane;
    }
    /// Puts what waits on the dead lane back to the lanes it came from, as if it had never been tried; at
    /// most so many, and says how many. What cannot be read stays. Dying in between repeats a message
    /// and loses none.
    async fn requeue_dead(&self, most: u32) -> Result<u32, PortError>;
    /// Waits for the next message of a lane.
    async fn receive(&self, lane: Lane) -> Result<Box<dyn Delivery>, PortError>;
}
