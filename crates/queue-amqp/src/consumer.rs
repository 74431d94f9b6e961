//! Consuming one lane: a channel of its own, rebuilt whenever it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Connection, Consumer};
use sluice_model::Lane;
use sluice_ports::{PortError, PortKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::broker::{is_late, open_channel, within};
use crate::delivery::{AmqpDelivery, Hold};
use crate::inbox::Inbox;
use crate::link::Link;
use crate::publisher::Publisher;
use crate::unreadable;
use crate::wire::{self, Reading};

/// How often a channel is looked at whose stream says nothing.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A consumer that gets nothing for so long is doubted, if it could take more.
const DOUBT_AFTER: Duration = Duration::from_secs(10);

/// Reads one lane into an inbox.
pub(crate) struct LaneConsumer {
    pub(crate) lane: Lane,
    pub(crate) prefetch: u16,
    pub(crate) link: Arc<Link>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) stop: CancellationToken,
    /// For what is put off or thrown away meanwhile.
    pub(crate) tasks: TaskTracker,
}

/// Closes an inbox when its consumer ends, however it ends.
struct ClosesInbox(Arc<Inbox>);

impl Drop for ClosesInbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A registered consumer and what it hangs on.
struct Session {
    connection: Arc<Connection>,
    channel: Channel,
    deliveries: Consumer,
    /// Messages of it that are held now.
    held: Arc<AtomicUsize>,
}

impl LaneConsumer {
    /// Consumes until `stop`.
    pub(crate) async fn run(self, mut backoff: Backoff) {
        // Also should this task panic: who waits hears of it, and the process counts as dead.
        let _closes = ClosesInbox(Arc::clone(&self.inbox));
        let lane = self.lane.name();
        loop {
            let since = Instant::now();
            let ended = self.stop.run_until_cancelled(self.open()).await;
            let why = match ended {
                None => break,
                Some(Err(error)) => error,
                Some(Ok(session)) => {
                    let Some(error) = self.consume(session).await else {
                        break;
                    };
                    error
                }
            };
            tracing::warn!(lane, error = why.chain(), "a consumer ended and is rebuilt");
            if why.kind == PortKind::Permanent {
                self.inbox.complain(why);
            }
            let wait = tokio::time::sleep(backoff.after(since.elapsed()));
            if self.stop.run_until_cancelled(wait).await.is_none() {
                break;
            }
        }
    }

    /// Declares first: the queue may be why the last consumer ended (C9, D4).
    async fn open(&self) -> Result<Session, PortError> {
        let connection = self.link.connection().await?;
        let opened = self.register(&connection).await;
        if opened.as_ref().is_err_and(is_late) {
            self.link.condemn(&connection);
        }
        let (channel, deliveries) = opened?;
        Ok(Session {
            connection,
            channel,
            deliveries,
            held: Arc::default(),
        })
    }

    async fn register(&self, connection: &Connection) -> Result<(Channel, Consumer), PortError> {
        let (topology, limit) = (&self.publisher.topology, self.publisher.limit);
        topology.declare(connection).await?;
        let channel = open_channel(connection, limit).await?;
        let qos = channel.basic_qos(self.prefetch, BasicQosOptions::default());
        within(limit, "limiting what is held", qos).await?;
        let queue = topology.queue(self.lane);
        let action = format!("consuming queue {queue}");
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(queue, "".into(), options, none);
        let deliveries = within(limit, &action, consuming).await?;
        Ok((channel, deliveries))
    }

    /// Returns why the session ended, or nothing when it was stopped.
    async fn consume(&self, mut session: Session) -> Option<PortError> {
        self.inbox.consuming.store(true, Ordering::SeqCst);
        let forwarded = self.forward(&mut session);
        let ended = self.stop.run_until_cancelled(forwarded).await;
        self.inbox.consuming.store(false, Ordering::SeqCst);
        self.wind_down(session).await;
        ended
    }

    async fn forward(&self, session: &mut Session) -> PortError {
        let action = format!("consuming lane {}", self.lane.name());
        let (mut heard, mut doubts) = (Instant::now(), 0);
        loop {
            let next = tokio::time::timeout(LOOK_EVERY, session.deliveries.next()).await;
            match next {
                Ok(Some(Ok(delivery))) => {
                    (heard, doubts) = (Instant::now(), 0);
                    self.admit(session, delivery);
                }
                Ok(Some(Err(error))) => return PortError::transient(action, error),
                // The broker took the consumer away: its queue is deleted, or on 4.3 a delivery
                // took too long.
                Ok(None) => return PortError::transient(action, "the broker ended it"),
                Err(_) if !session.channel.status().connected() => {
                    return PortError::new(PortKind::Transient, action);
                }
                Err(_) if heard.elapsed() < DOUBT_AFTER => {}
                Err(_) => {
                    heard = Instant::now();
                    doubts = match self.is_passed_over(session).await {
                        Ok(true) => doubts + 1,
                        Ok(false) => 0,
                        Err(error) => return error,
                    };
                    // Twice, because the broker's count lags (T12).
                    if doubts == 2 {
                        return PortError::transient(action, "messages wait and none is given out");
                    }
                }
            }
        }
    }

    /// Whether messages wait although this consumer could take one. A queue that was deleted and
    /// declared anew at the same moment can keep a consumer that looks well and gets nothing.
    async fn is_passed_over(&self, session: &Session) -> Result<bool, PortError> {
        if session.held.load(Ordering::SeqCst) >= usize::from(self.prefetch) {
            return Ok(false);
        }
        let topology = &self.publisher.topology;
        Ok(topology.count(&session.channel, self.lane).await? > 0)
    }

    fn admit(&self, session: &Session, delivery: lapin::message::Delivery) {
        let traceparent = wire::traceparent(&delivery.properties);
        let redelivered = delivery.redelivered;
        let hold = self.hold(session, delivery.acker);
        let publisher = Arc::clone(&self.publisher);
        match wire::read(&delivery.data) {
            Reading::Hint(hint, attempt) => self.inbox.put(AmqpDelivery {
                hint,
                attempt,
                redelivered,
                traceparent,
                hold,
                publisher,
            }),
            Reading::Newer(version) => {
                tracing::warn!(version, "a hint of a newer version is put off");
                let parked = unreadable::park(publisher, hold, delivery.data, traceparent);
                self.tasks.spawn(parked);
            }
            Reading::Unreadable => {
                let discarded = unreadable::discard(publisher, hold, delivery.data.len());
                self.tasks.spawn(discarded);
            }
        }
    }

    fn hold(&self, session: &Session, acker: Acker) -> Hold {
        session.held.fetch_add(1, Ordering::SeqCst);
        Hold {
            held: Arc::clone(&session.held),
            acker,
            channel: session.channel.clone(),
            connection: Arc::clone(&session.connection),
            link: Arc::clone(&self.link),
            lane: self.lane,
        }
    }

    /// What nobody asked for goes back, and what somebody holds is lost with the channel: the
    /// broker may have given it to another already, and `is_held` must say so. At a stop the
    /// channel stays, so that what is held can still be settled.
    async fn wind_down(&self, mut session: Session) {
        self.cancel(&mut session).await;
        self.inbox.clear();
        let Session {
            connection,
            channel,
            ..
        } = session;
        if self.stop.is_cancelled() || !channel.status().connected() {
            return;
        }
        let closing = channel.close(200, "rebuilding".into());
        let closed = within(self.publisher.limit, "closing a channel", closing).await;
        if closed.is_err() {
            self.link.condemn(&connection);
        }
    }

    /// Ends the consumer and gives back what had come for it.
    async fn cancel(&self, session: &mut Session) {
        if !session.channel.status().connected() {
            return;
        }
        let (tag, options) = (session.deliveries.tag(), BasicCancelOptions::default());
        let cancelling = session.channel.basic_cancel(tag, options);
        let limit = self.publisher.limit;
        if within(limit, "ending a consumer", cancelling)
            .await
            .is_err()
        {
            return;
        }
        let mut next = async || tokio::time::timeout(LOOK_EVERY, session.deliveries.next()).await;
        let mut unasked = Vec::new();
        while let Ok(Some(Ok(delivery))) = next().await {
            unasked.push(delivery.acker);
        }
        for acker in unasked {
            drop(self.hold(session, acker));
        }
    }
}
