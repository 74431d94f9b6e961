//! Publishing: a message counts as sent once the broker confirms it and did not return it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, Connection};
use sluice_ports::{Entropy, PortError, PortKind};
use tokio::sync::Semaphore;

use crate::broker::{open_channel, within};
use crate::link::{Link, condemn, may_publish};
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
    idle: Mutex<Vec<Channel>>,
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
        let _room = self.width.acquire().await.map_err(|error| {
            PortError::transient(format!("publishing to a closed queue {queue}"), error)
        })?;
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
    /// closed by that: a late confirm or return cannot be taken for the next message's.
    async fn publish_once(&self, queue: &ShortString, parcel: &Parcel) -> Result<(), Unsent> {
        let connection = self.link.connection().await.map_err(Unsent::Refused)?;
        may_publish(&connection).map_err(Unsent::Refused)?;
        let channel = self.channel(&connection).await.map_err(Unsent::Unknown)?;
        let action = format!("publishing to queue {queue}");
        let confirmed = async {
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let (queue, properties) = (queue.clone(), parcel.properties());
            channel
                .basic_publish("".into(), queue, options, &parcel.body, properties)
                .await?
                .await
        };
        match within(self.limit, &action, confirmed).await {
            Ok(Confirmation::Ack(None)) => {
                self.put_back(channel);
                Ok(())
            }
            Ok(Confirmation::Ack(Some(returned))) => {
                Err(Unsent::Returned(returned.reply_text.to_string()))
            }
            Ok(Confirmation::Nack(_)) => Err(Unsent::Refused(PortError::transient(
                action,
                "the broker could not take it",
            ))),
            Ok(Confirmation::NotRequested) => Err(Unsent::Refused(PortError::new(
                PortKind::Permanent,
                format!("{action} without confirms"),
            ))),
            Err(error) => Err(Unsent::Unknown(error)),
        }
    }

    async fn channel(&self, connection: &Connection) -> Result<Channel, PortError> {
        while let Some(channel) = self.take_idle() {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let channel = self.open(connection).await;
        if channel.is_err() {
            condemn(connection);
        }
        channel
    }

    async fn open(&self, connection: &Connection) -> Result<Channel, PortError> {
        let channel = open_channel(connection, self.limit).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        within(self.limit, "asking for confirms", confirms).await?;
        Ok(channel)
    }

    fn take_idle(&self) -> Option<Channel> {
        self.lock_idle().pop()
    }

    fn put_back(&self, channel: Channel) {
        self.lock_idle().push(channel);
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
