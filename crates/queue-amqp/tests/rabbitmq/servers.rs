//! A broker of our own, which takes back what is held too long, is stopped, and is killed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sluice_model::{Hint, Lane};
use sluice_ports::{Queue, Settle};
use sluice_queue_amqp::{AmqpOptions, AmqpQueue};
use sluice_stack::{Private, Rabbitmq, RabbitmqOptions};
use tokio::task::{JoinHandle, block_in_place};
use tokio_util::sync::CancellationToken;

use crate::rig::{Rig, chunk, eventually, options};

/// What the broker lets a consumer hold a message. Whoever only passes one on is far quicker.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(5);

type End = fn(&mut Private<Rabbitmq>) -> anyhow::Result<()>;

/// One after another, because a broker takes long to start.
#[tokio::test(flavor = "multi_thread")]
async fn c8_d1_d2_a_broker_with_a_short_patience_that_stops_and_dies() {
    let patience = RabbitmqOptions::with_consumer_timeout(CONSUMER_TIMEOUT);
    let mut broker = block_in_place(|| Private::<Rabbitmq>::start(&patience)).unwrap();
    c8_what_is_held_too_long_comes_again(&broker).await;
    through(&mut broker, "d1", Private::stop).await;
    through(&mut broker, "d2", Private::kill).await;
}

fn on(broker: &Private<Rabbitmq>, test: &str) -> AmqpOptions {
    let mut options = options(test);
    options.url = broker.url();
    options
}

/// C8, T3: the holder learns of it, and the consumer is rebuilt each time; it is no zombie.
async fn c8_what_is_held_too_long_comes_again(broker: &Private<Rabbitmq>) {
    let rig = Rig::with(on(broker, "c8")).await;
    for ordinal in 0..2 {
        rig.send(&chunk(ordinal)).await;
        let held = rig.receive(Lane::Chunks).await;
        assert_eq!(held.hint(), &chunk(ordinal));
        assert!(held.is_held());
        eventually(|| !held.is_held()).await;
        let again = rig.receive(Lane::Chunks).await;
        assert_eq!(again.hint(), &chunk(ordinal));
        assert!(again.is_held());
        again.settle(Settle::Ack).await.unwrap();
        // Too late, and no error.
        held.settle(Settle::Ack).await.unwrap();
    }
    let why = "timed out waiting for delivery acknowledgement";
    assert_eq!(broker.server().log().matches(why).count(), 2);
    rig.send(&chunk(2)).await;
    rig.receive_and_ack(&chunk(2)).await;
    rig.finish().await;
}

/// D1, D2: the broker goes and comes back while messages are sent: what was confirmed is there, and
/// the same queue goes on to send and to receive.
async fn through(broker: &mut Private<Rabbitmq>, test: &str, end: End) {
    let rig = Rig::with(on(broker, test)).await;
    let sender = Sender::start(&rig.queue);
    sender.confirms(30).await;
    let held = rig.receive(Lane::Chunks).await;
    block_in_place(|| end(broker)).unwrap();
    eventually(|| !held.is_held()).await;
    block_in_place(|| broker.start_again()).unwrap();
    sender.confirms(30).await;
    let mut left = sender.stop().await;
    assert!(left.len() >= 60);
    while !left.is_empty() {
        let delivery = rig.receive(Lane::Chunks).await;
        left.remove(delivery.hint());
        delivery.settle(Settle::Ack).await.unwrap();
    }
    rig.finish().await;
}

/// Sends, whatever happens, and remembers what was confirmed.
struct Sender {
    confirmed: Arc<AtomicU32>,
    sending: JoinHandle<HashSet<Hint>>,
    stop: CancellationToken,
}

impl Sender {
    fn start(queue: &Arc<AmqpQueue>) -> Self {
        let (confirmed, stop) = (Arc::<AtomicU32>::default(), CancellationToken::new());
        let (queue, count, stopped) = (Arc::clone(queue), Arc::clone(&confirmed), stop.clone());
        let sending = tokio::spawn(async move {
            let mut sent = HashSet::new();
            for ordinal in 0.. {
                if stopped.is_cancelled() {
                    break;
                }
                if queue.send(chunk(ordinal).into()).await.is_ok() {
                    sent.insert(chunk(ordinal));
                    count.fetch_add(1, Ordering::SeqCst);
                }
                // So that the queue stays short.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            sent
        });
        Self {
            confirmed,
            sending,
            stop,
        }
    }

    /// Waits until so many more were confirmed.
    async fn confirms(&self, more: u32) {
        let wanted = self.confirmed.load(Ordering::SeqCst) + more;
        eventually(|| self.confirmed.load(Ordering::SeqCst) >= wanted).await;
    }

    /// What was confirmed.
    async fn stop(self) -> HashSet<Hint> {
        self.stop.cancel();
        self.sending.await.unwrap()
    }
}
