//! Publishing: a message counts as sent once the broker confirms it and did not return it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, Connection};
use sluice_ports::{Entropy, PortError};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::broker::{is_late, within};
use crate::link::{Link, may_publish};
use crate::topology::Topology;
use crate::wire::Parcel;

/// How many messages can wait for their confirms at once.
const WIDTH: usize = 32;

/// Publishes over a link of its own.
///
/// Each message has a channel to itself until it is confirmed. lapin pairs a returned message with
/// the next confirm of its channel, which with several under way may be another message's; with
/// one under way it is its own. Sends pipeline by using several channels.
pub(crate) struct Publisher {
    pub(crate) link: Link,
    pub(crate) topology: Arc<Topology>,
    /// Names messages.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The longest wait for any one answer.
    pub(crate) limit: Duration,
    width: Semaphore,
    /// Each with the connection that it belongs to.
    idle: Mutex<Vec<(Arc<Connection>, Channel)>>,
}

/// Why a message is not known to be queued.
enum Unsent {
    /// The broker returned it: its queue is not there (T1).
    Returned(String),
    /// It may be queued or not: no confirm came.
    Unknown(PortError),
    /// Trying again at once would not help.
    Refused(PortError),
}

impl Publisher {
    pub(crate) fn new(
        link: Link,
        topology: Arc<Topology>,
        entropy: Arc<dyn Entropy>,
        limit: Duration,
    ) -> Self {
        Self {
            link,
            topology,
            entropy,
            limit,
            width: Semaphore::new(WIDTH),
            idle: Mutex::default(),
        }
    }

    /// Puts a message on a queue. One that came back or whose fate is unknown is published once
    /// more; whoever reads it expects repetitions.
    pub(crate) async fn publish(
        &self,
        queue: &ShortString,
        parcel: &Parcel,
    ) -> Result<(), PortError> {
        match self.publish_once(queue, parcel).await {
            Ok(()) => return Ok(()),
            Err(Unsent::Refused(error)) => return Err(error),
            Err(Unsent::Returned(reason)) => {
                tracing::warn!(%queue, reason, "a message was returned; queues are declared again");
                self.declare().await?;
            }
            Err(Unsent::Unknown(error)) => {
                tracing::debug!(%queue, error = error.chain(), "a message is published again");
            }
        }
        let again = self.publish_once(queue, parcel).await;
        again.map_err(|unsent| match unsent {
            Unsent::Refused(error) | Unsent::Unknown(error) => error,
            Unsent::Returned(reason) => {
                PortError::transient(format!("publishing to queue {queue}"), reason)
            }
        })
    }

    /// Declares the queues.
    pub(crate) async fn declare(&self) -> Result<(), PortError> {
        let connection = self.link.connection().await?;
        self.topology.declare(&connection).await
    }

    /// A channel goes back to the idle ones only after a clean confirm. Any other is dropped, and
    /// closed by that: a late confirm or return cannot be taken for the next message's. A
    /// connection that owes an answer is given up, so that the next try has a sound one; one that
    /// the broker blocks only has to wait.
    async fn publish_once(&self, queue: &ShortString, parcel: &Parcel) -> Result<(), Unsent> {
        let (_room, connection) = self.room(queue).await.map_err(Unsent::Refused)?;
        may_publish(&connection).map_err(Unsent::Refused)?;
        let action = format!("publishing to queue {queue}");
        let confirmed = self.confirmed(&connection, queue, parcel);
        match within(self.limit, &action, confirmed).await {
            Ok((Confirmation::Ack(None), channel)) => {
                self.lock_idle().push((connection, channel));
                Ok(())
            }
            Ok((Confirmation::Ack(Some(returned)), _)) => {
                Err(Unsent::Returned(returned.reply_text.to_string()))
            }
            Ok((Confirmation::Nack(_), _)) => Err(Unsent::Refused(PortError::transient(
                action,
                "the broker could not take it",
            ))),
            Ok((Confirmation::NotRequested, _)) => Err(Unsent::Refused(PortError::permanent(
                action,
                "the channel has no confirms",
            ))),
            Err(error) => {
                if is_late(&error) && !connection.status().blocked() {
                    self.link.condemn(&connection);
                }
                Err(Unsent::Unknown(error))
            }
        }
    }

    /// Leave to publish one message, and a connection for it.
    async fn room(
        &self,
        queue: &ShortString,
    ) -> Result<(SemaphorePermit<'_>, Arc<Connection>), PortError> {
        let waits = || format!("waiting to publish to queue {queue}");
        let room = tokio::time::timeout(self.limit, self.width.acquire()).await;
        let room = room.map_err(|error| PortError::transient(waits(), error))?;
        let room = room.map_err(|error| PortError::transient(waits(), error))?;
        Ok((room, self.link.connection().await?))
    }

    async fn confirmed(
        &self,
        connection: &Arc<Connection>,
        queue: &ShortString,
        parcel: &Parcel,
    ) -> lapin::Result<(Confirmation, Channel)> {
        let channel = if let Some(channel) = self.take_idle(connection) {
            channel
        } else {
            let channel = connection.create_channel().await?;
            let confirms = ConfirmSelectOptions::default();
            channel.confirm_select(confirms).await?;
            channel
        };
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let (queue, properties) = (queue.clone(), parcel.properties());
        let confirm = channel
            .basic_publish("".into(), queue, options, &parcel.body, properties)
            .await?;
        Ok((confirm.await?, channel))
    }

    /// An idle channel; those of a lost connection are thrown away.
    fn take_idle(&self, connection: &Arc<Connection>) -> Option<Channel> {
        let mut idle = self.lock_idle();
        idle.retain(|(of, channel)| Arc::ptr_eq(of, connection) && channel.status().connected());
        idle.pop().map(|(_, channel)| channel)
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<(Arc<Connection>, Channel)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
