//! A hint that this process holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Acker, Channel, Connection};
use sluice_model::{Hint, Lane};
use sluice_ports::{Delivery, PortError, Settle, Settled};

use crate::broker::within;
use crate::link::Link;
use crate::publisher::Publisher;
use crate::wire::Parcel;

/// The broker's side of a message: as long as its channel stands, it is ours. Dropped unsettled,
/// it goes back; otherwise it would be nobody's until the broker's timeout (T8).
pub(crate) struct Hold {
    pub(crate) acker: Acker,
    pub(crate) channel: Channel,
    pub(crate) connection: Arc<Connection>,
    pub(crate) link: Arc<Link>,
    pub(crate) lane: Lane,
    /// How many its consumer has given out; one less when this is dropped.
    pub(crate) held: Arc<AtomicUsize>,
}

impl Hold {
    pub(crate) fn is_held(&self) -> bool {
        self.acker.usable() && self.channel.status().connected()
    }

    /// Acknowledges. A hold that is lost is no error: the message is delivered again, and whoever
    /// gets it finds the work done.
    pub(crate) async fn ack(&self, limit: Duration) -> Result<Settled, PortError> {
        let lane = self.lane.name();
        let acked = if self.is_held() {
            let ack = self.acker.ack(BasicAckOptions::default());
            within(limit, "acknowledging a hint", ack).await
        } else {
            Ok(false)
        };
        match acked {
            Ok(true) => Ok(Settled::Done),
            Ok(false) => {
                tracing::warn!(lane, "a hint was lost before it was settled and comes back");
                Ok(Settled::Lost)
            }
            Err(error) => {
                // An ack that did not get through must not stay half done on a channel that
                // lives: closing it tells both sides that the message is free.
                if self.channel.status().connected() {
                    self.link.condemn(&self.connection);
                }
                Err(error)
            }
        }
    }
}

impl Drop for Hold {
    /// The first poll hands the command to lapin, which goes on by itself; after a settlement it
    /// does nothing. No task is needed, so this also works while the runtime shuts down.
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::SeqCst);
        let back = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        let _goes_on_by_itself = self.acker.nack(back).now_or_never();
    }
}

/// A delivery of the port.
pub(crate) struct AmqpDelivery {
    pub(crate) hint: Hint,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    pub(crate) traceparent: Option<String>,
    pub(crate) hold: Hold,
    pub(crate) publisher: Arc<Publisher>,
}

impl AmqpDelivery {
    fn repack(&self, attempt: u32) -> Result<Parcel, PortError> {
        let trace = self.traceparent.clone();
        Parcel::pack(&self.hint, attempt, trace, self.publisher.entropy.as_ref())
    }
}

#[async_trait]
impl Delivery for AmqpDelivery {
    fn hint(&self) -> &Hint {
        &self.hint
    }

    fn is_held(&self) -> bool {
        self.hold.is_held()
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn is_redelivered(&self) -> bool {
        self.redelivered
    }

    fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Publishes before it acknowledges: a crash in between repeats a hint, and loses none.
    async fn settle(self: Box<Self>, how: Settle) -> Result<Settled, PortError> {
        let publisher = &self.publisher;
        let (queue, attempt) = match how {
            Settle::Ack => return self.hold.ack(publisher.limit).await,
            Settle::RetryAfter(wait) => (
                publisher.topology.delay(self.hold.lane, wait),
                self.attempt.saturating_add(1),
            ),
            Settle::DeadLetter => (publisher.topology.queue(Lane::Dead), self.attempt),
            Settle::GiveBack => {
                let held = self.is_held();
                // Dropping it gives it back.
                return Ok(if held { Settled::Done } else { Settled::Lost });
            }
        };
        if self.is_held() {
            publisher.publish(&queue, &self.repack(attempt)?).await?;
        }
        self.hold.ack(publisher.limit).await
    }
}
