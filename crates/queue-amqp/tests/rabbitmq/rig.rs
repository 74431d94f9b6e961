//! A queue for one test, under a prefix of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sluice_model::{ChunkId, Hint, JobId, JobRef, Lane};
use sluice_ports::{Delivery, Queue, Settle};
use sluice_queue_amqp::{AmqpOptions, AmqpQueue};
use sluice_testkit::SeededEntropy;

use crate::management;

/// Only so that a failing test ends.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Rig {
    pub(crate) options: AmqpOptions,
    pub(crate) queue: Arc<AmqpQueue>,
}

/// Options of a test, with quick retries.
pub(crate) fn options(test: &str) -> AmqpOptions {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let url = sluice_testkit::stack("SLUICE_PORTS__QUEUE");
    let mut options = AmqpOptions::new(url);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    options.prefix = format!("{test}-{process}-{count}-{nanos}");
    options.retry_ladder = [10, 100].map(Duration::from_millis).to_vec();
    options
}

pub(crate) async fn connect(options: &AmqpOptions) -> Arc<AmqpQueue> {
    let entropy = Arc::new(SeededEntropy::new(7));
    let queue = AmqpQueue::connect(options.clone(), entropy).await;
    Arc::new(queue.unwrap())
}

impl Rig {
    pub(crate) async fn new(test: &str) -> Self {
        Self::with(options(test)).await
    }

    pub(crate) async fn with(options: AmqpOptions) -> Self {
        let queue = connect(&options).await;
        Self { options, queue }
    }

    /// The broker's name of one of our queues or connections.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.options.prefix)
    }

    pub(crate) async fn send(&self, hint: &Hint) {
        self.queue.send(hint.clone().into()).await.unwrap();
    }

    pub(crate) async fn receive(&self, lane: Lane) -> Box<dyn Delivery> {
        receive(&self.queue, lane).await
    }

    pub(crate) async fn receive_and_ack(&self, expected: &Hint) {
        let delivery = self.receive(expected.lane()).await;
        assert_eq!(delivery.hint(), expected);
        delivery.settle(Settle::Ack).await.unwrap();
    }

    /// Closes one of the two connections by the management API, which learns of a connection some
    /// seconds late.
    pub(crate) async fn close_connection(&self, does: &str) {
        let name = self.name(does);
        eventually(|| management::close_connections(&name) > 0).await;
    }

    pub(crate) async fn finish(self) {
        self.queue.close().await;
        for queue in management::queues(&self.options.prefix) {
            management::delete_queue(&queue);
        }
    }
}

pub(crate) async fn receive(queue: &AmqpQueue, lane: Lane) -> Box<dyn Delivery> {
    let received = tokio::time::timeout(PATIENCE, queue.receive(lane)).await;
    received.unwrap().unwrap()
}

/// Waits until something holds.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap();
}

fn job() -> JobRef {
    JobRef {
        tenant: "hospital".parse().unwrap(),
        job: JobId::from_bytes([7; 16]),
    }
}

pub(crate) fn chunk(ordinal: u32) -> Hint {
    Hint::ExportChunk(job(), ChunkId::from_ordinal(ordinal))
}

pub(crate) fn advance() -> Hint {
    Hint::AdvanceJob(job())
}
