//! The broker, the wire and the operators misbehave.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::Lane;
use sluice_ports::{PortKind, Queue, Settle};
use sluice_queue_amqp::{AmqpOptions, AmqpQueue};
use sluice_testkit::SeededEntropy;
use tokio::net::TcpListener;

use crate::management;
use crate::proxy::Proxy;
use crate::rig::{Rig, advance, chunk, eventually, options};

async fn failure(options: AmqpOptions) -> sluice_ports::PortError {
    let queue = AmqpQueue::connect(options, Arc::new(SeededEntropy::new(1))).await;
    queue.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_a_message_whose_queue_is_gone_is_sent_after_a_declaration() {
    let rig = Rig::new("a5").await;
    management::delete_queue(&rig.name(".jobs"));
    rig.send(&advance()).await;
    rig.receive_and_ack(&advance()).await;
    rig.finish().await;
}

/// T1: the broker acknowledges what it returns. Here the declaration cannot heal it.
#[tokio::test(flavor = "multi_thread")]
async fn a5_a_returned_message_is_no_success() {
    let rig = Rig::new("a5b").await;
    management::delete_queue(&rig.name(".jobs"));
    management::delete_queue(&rig.name(".dead"));
    management::declare_bare_queue(&rig.name(".dead"));
    let error = rig.queue.send(advance().into()).await.unwrap_err();
    assert!(error.action.contains(&rig.name(".dead")));
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_d3_a_silent_wire_fails_sends_in_time_and_heals() {
    let proxy = Proxy::start().await;
    let mut options = options("a6");
    options.url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxy.port);
    options.confirm_timeout = Duration::from_secs(1);
    let rig = Rig::with(options).await;
    rig.send(&chunk(0)).await;
    rig.receive_and_ack(&chunk(0)).await;
    proxy.silence(true);
    let error = rig.queue.send(chunk(1).into()).await.unwrap_err();
    assert!(error.is_transient());
    proxy.silence(false);
    while rig.queue.send(chunk(2).into()).await.is_err() {}
    loop {
        let delivery = rig.receive(Lane::Chunks).await;
        let last = *delivery.hint() == chunk(2);
        delivery.settle(Settle::Ack).await.unwrap();
        if last {
            break;
        }
    }
    rig.finish().await;
}

/// T2, T3: the holder learns that it lost the hint, and the consumer is no zombie.
#[tokio::test(flavor = "multi_thread")]
async fn c6_a_closed_connection_frees_what_is_held_and_is_rebuilt() {
    let rig = Rig::new("c6").await;
    rig.send(&chunk(1)).await;
    let lost = rig.receive(Lane::Chunks).await;
    assert!(lost.is_held());
    rig.close_connection(" consumes").await;
    eventually(|| !lost.is_held()).await;
    let again = rig.receive(Lane::Chunks).await;
    assert_eq!(again.hint(), &chunk(1));
    assert!(again.is_held());
    // C7: settling what was lost is no error, and neither repeats nor removes the hint.
    let retry = Settle::RetryAfter(Duration::from_millis(10));
    lost.settle(retry).await.unwrap();
    again.settle(Settle::Ack).await.unwrap();
    rig.close_connection(" publishes").await;
    while rig.queue.send(chunk(2).into()).await.is_err() {}
    rig.receive_and_ack(&chunk(2)).await;
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c9_a_queue_deleted_under_its_consumer_is_declared_again() {
    let rig = Rig::new("c9").await;
    rig.send(&chunk(1)).await;
    let held = rig.receive(Lane::Chunks).await;
    management::delete_queue(&rig.name(".chunks"));
    eventually(|| !held.is_held()).await;
    rig.send(&chunk(2)).await;
    rig.receive_and_ack(&chunk(2)).await;
    held.settle(Settle::Ack).await.unwrap();
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_everything_is_declared_again_when_it_is_gone() {
    let rig = Rig::new("d4").await;
    rig.send(&chunk(1)).await;
    rig.receive_and_ack(&chunk(1)).await;
    for queue in management::queues(&rig.options.prefix) {
        management::delete_queue(&queue);
    }
    rig.send(&chunk(2)).await;
    let delivery = rig.receive(Lane::Chunks).await;
    let retry = Settle::RetryAfter(Duration::from_millis(10));
    delivery.settle(retry).await.unwrap();
    let delivery = rig.receive(Lane::Chunks).await;
    assert_eq!((delivery.hint(), delivery.attempt()), (&chunk(2), 1));
    delivery.settle(Settle::Ack).await.unwrap();
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_a_queue_with_other_arguments_is_named() {
    let options = options("d8");
    let queue = format!("{}.chunks", options.prefix);
    management::declare_bare_queue(&queue);
    let error = failure(options.clone()).await;
    assert_eq!(error.kind, PortKind::Permanent);
    assert!(error.action.contains(&queue), "{}", error.chain());
    for queue in management::queues(&options.prefix) {
        management::delete_queue(&queue);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_permanent_and_stay_secret() {
    let mut options = options("secret");
    options.url = options.url.replace("guest:guest@", "guest:hunter2@");
    let error = failure(options).await;
    assert_eq!(error.kind, PortKind::Permanent);
    assert!(!format!("{error:?} {}", error.chain()).contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_or_silent_is_a_transient_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut options = options("away");
    options.url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    options.confirm_timeout = Duration::from_millis(300);
    assert!(failure(options.clone()).await.is_transient());
    drop(listener);
    assert!(failure(options).await.is_transient());
}
