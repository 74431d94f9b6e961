//! The port.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sluice_model::Lane;
use sluice_ports::{Delivery, Entropy, Message, PortError, PortKind, Queue};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::AmqpOptions;
use crate::backoff::Backoff;
use crate::broker::{open_channel, within};
use crate::consumer::LaneConsumer;
use crate::inbox::{Inbox, closed};
use crate::link::{Dial, Link};
use crate::publisher::Publisher;
use crate::requeue::requeue;
use crate::topology::Topology;
use crate::wire::Parcel;

/// Tasks that end together.
#[derive(Clone, Default)]
struct Tasks {
    stop: CancellationToken,
    running: TaskTracker,
}

impl Tasks {
    async fn end(&self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

/// A lane as this process reads it.
struct LaneState {
    lane: Lane,
    prefetch: u16,
    /// Ends all consumers.
    all: CancellationToken,
    reading: Mutex<Option<Reading>>,
}

/// A consumer of a lane, and what comes from it.
#[derive(Clone)]
struct Reading {
    stop: CancellationToken,
    inbox: Arc<Inbox>,
}

impl LaneState {
    fn new(lane: Lane, prefetch: u16, all: &CancellationToken) -> Self {
        Self {
            lane,
            prefetch,
            all: all.clone(),
            reading: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The consumer that there is, unless it was told to stop.
    fn reading(&self) -> Option<Reading> {
        let reading = self.lock().clone();
        reading.filter(|reading| !reading.stop.is_cancelled())
    }
}

/// Hints over RabbitMQ, on two connections: one that publishes, and one that consumes, so that a
/// broker that holds back publishers still takes acknowledgements (T4).
pub struct AmqpQueue {
    publisher: Arc<Publisher>,
    consuming: Arc<Link>,
    lanes: [LaneState; 3],
    consumers: Tasks,
    links: Tasks,
}

impl AmqpQueue {
    /// Connects and declares the queues. Afterwards a lost connection comes back by itself.
    pub async fn connect(
        options: AmqpOptions,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PortError> {
        options.validate()?;
        let (links, consumers) = (Tasks::default(), Tasks::default());
        let link = async |does: &str| {
            let dial = Dial {
                uri: options.uri()?,
                name: format!("{} {does}", options.prefix),
                limit: options.confirm_timeout,
            };
            let backoff = Backoff::new(Arc::clone(&entropy));
            Link::open(dial, backoff, links.stop.clone(), &links.running).await
        };
        let (publishing, consuming) = (link("publishes").await?, link("consumes").await?);
        let topology = Arc::new(Topology::new(&options));
        let limit = options.confirm_timeout;
        let publisher = Publisher::new(publishing, topology, Arc::clone(&entropy), limit);
        let queue = Self {
            publisher: Arc::new(publisher),
            consuming: Arc::new(consuming),
            lanes: [
                LaneState::new(Lane::Jobs, options.coordinator_prefetch, &consumers.stop),
                LaneState::new(Lane::Chunks, options.prefetch, &consumers.stop),
                LaneState::new(Lane::Dead, options.coordinator_prefetch, &consumers.stop),
            ],
            consumers,
            links,
        };
        queue.publisher.declare().await?;
        Ok(queue)
    }

    /// Whether this process can send, and receives on every lane that it reads.
    pub fn check(&self) -> Result<(), PortError> {
        self.publisher.link.check()?;
        self.consuming.check()?;
        match self.consuming().into_iter().find(|(_, alive)| !alive) {
            Some((lane, _)) => {
                let action = format!("consuming lane {}", lane.name());
                Err(PortError::new(PortKind::Transient, action))
            }
            None => Ok(()),
        }
    }

    /// The lanes that this process reads now, and whether a consumer is registered there now.
    pub fn consuming(&self) -> Vec<(Lane, bool)> {
        let each = self.lanes.iter().filter_map(|state| {
            let reading = state.reading()?;
            Some((state.lane, reading.inbox.consuming.load(Ordering::SeqCst)))
        });
        each.collect()
    }

    /// A lane that this process should read and never will again, because what supervises its
    /// consumer has ended. Only a restart helps.
    pub fn dead_lane(&self) -> Option<Lane> {
        let ended = |state: &&LaneState| {
            let reading = state.reading();
            reading.is_some_and(|reading| reading.inbox.is_closed())
        };
        self.lanes.iter().find(ended).map(|state| state.lane)
    }

    async fn count(&self, lane: Lane) -> Result<u32, PortError> {
        let limit = self.publisher.limit;
        let connection = self.publisher.link.connection().await?;
        let channel = open_channel(&connection, limit).await?;
        let counted = self.publisher.topology.count(&channel, lane).await?;
        let closing = channel.close(200, "counted".into());
        within(limit, "closing a channel", closing).await?;
        Ok(counted)
    }

    /// Stops consuming, gives back what nobody asked for, and closes the connections. What is
    /// still held then comes back too, so settle it before.
    pub async fn close(&self) {
        self.consumers.end().await;
        self.links.end().await;
    }

    fn state(&self, lane: Lane) -> &LaneState {
        let [jobs, chunks, dead] = &self.lanes;
        match lane {
            Lane::Jobs => jobs,
            Lane::Chunks => chunks,
            Lane::Dead => dead,
        }
    }

    /// What comes from a lane, read from now on if it was not.
    fn read(&self, lane: Lane) -> Result<Arc<Inbox>, PortError> {
        let state = self.state(lane);
        if state.all.is_cancelled() {
            return Err(closed());
        }
        let mut reading = state.lock();
        if let Some(reading) = reading.as_ref().filter(|one| !one.stop.is_cancelled()) {
            return Ok(Arc::clone(&reading.inbox));
        }
        let new = Reading {
            stop: state.all.child_token(),
            inbox: Arc::default(),
        };
        *reading = Some(new.clone());
        drop(reading);
        let consumer = LaneConsumer {
            lane: state.lane,
            prefetch: state.prefetch,
            link: Arc::clone(&self.consuming),
            publisher: Arc::clone(&self.publisher),
            inbox: Arc::clone(&new.inbox),
            stop: new.stop,
            tasks: self.consumers.running.clone(),
        };
        let backoff = Backoff::new(Arc::clone(&self.publisher.entropy));
        self.consumers.running.spawn(consumer.run(backoff));
        Ok(new.inbox)
    }
}

impl Drop for AmqpQueue {
    fn drop(&mut self) {
        self.consumers.stop.cancel();
        self.links.stop.cancel();
    }
}

#[async_trait]
impl Queue for AmqpQueue {
    async fn send(&self, message: Message) -> Result<(), PortError> {
        let queue = self.publisher.topology.queue(message.hint.lane());
        let entropy = self.publisher.entropy.as_ref();
        let parcel = Parcel::pack(&message.hint, 0, message.traceparent, entropy)?;
        self.publisher.publish(&queue, &parcel).await
    }

    async fn waiting(&self, lane: Lane) -> Result<u32, PortError> {
        self.count(lane).await
    }

    fn stop_receiving(&self, lane: Lane) {
        if let Some(reading) = self.state(lane).reading() {
            reading.stop.cancel();
        }
    }

    async fn requeue_dead(&self, most: u32) -> Result<u32, PortError> {
        requeue(&self.publisher, &self.consuming, most).await
    }

    async fn receive(&self, lane: Lane) -> Result<Box<dyn Delivery>, PortError> {
        let inbox = self.read(lane)?;
        Ok(Box::new(inbox.take().await?))
    }
}
