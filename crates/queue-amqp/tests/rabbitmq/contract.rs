//! What every queue promises, and how much of it at once.

use std::collections::HashSet;
use std::sync::Arc;

use sluice_model::Lane;
use sluice_ports::{Queue, Settle, Settled};
use tokio::task::JoinSet;

use crate::rig::{PATIENCE, Rig, advance, chunk, connect, eventually, options, receive};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_of_the_port() {
    let rig = Rig::new("contract").await;
    let tenant = "hospital".parse().unwrap();
    let suite = sluice_ports::conformance::queue(rig.queue.as_ref(), &tenant);
    tokio::time::timeout(PATIENCE, suite)
        .await
        .unwrap()
        .unwrap();
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sends_at_once_all_arrive() {
    let rig = Rig::new("many").await;
    let mut sends = JoinSet::new();
    for ordinal in 0..200 {
        let queue = Arc::clone(&rig.queue);
        sends.spawn(async move { queue.send(chunk(ordinal).into()).await });
    }
    let receives = async {
        let mut seen = HashSet::new();
        while seen.len() < 200 {
            let delivery = rig.receive(Lane::Chunks).await;
            seen.insert(delivery.hint().clone());
            delivery.settle(Settle::Ack).await.unwrap();
        }
    };
    let (sent, ()) = tokio::join!(sends.join_all(), receives);
    assert!(sent.iter().all(Result::is_ok));
    rig.finish().await;
}

/// A worker that is told to stop holds on to what it does and to nothing else, so that the others
/// need not wait for its end.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_unasked_goes_to_others_at_a_stop() {
    let mut options = options("stops");
    options.prefetch = 3;
    let rig = Rig::with(options).await;
    for ordinal in 0..6 {
        rig.send(&chunk(ordinal)).await;
    }
    let held = rig.receive(Lane::Chunks).await;
    rig.queue.stop_receiving(Lane::Chunks);
    let other = connect(&rig.options).await;
    for _ in 0..5 {
        let delivery = receive(&other, Lane::Chunks).await;
        delivery.settle(Settle::Ack).await.unwrap();
    }
    assert_eq!(held.settle(Settle::Ack).await.unwrap(), Settled::Done);
    assert_eq!(
        rig.queue.dead_lane(),
        None,
        "it has ended because it should"
    );
    other.close().await;
    // Until it asks again.
    rig.send(&chunk(6)).await;
    rig.receive_and_ack(&chunk(6)).await;
    assert_eq!(rig.queue.consuming(), [(Lane::Chunks, true)]);
    rig.finish().await;
}

/// One of ten is held; prefetch lets the process have one more. The other eight must be free.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_held_than_the_prefetch() {
    let mut options = options("prefetch");
    options.prefetch = 2;
    let rig = Rig::with(options).await;
    for ordinal in 0..10 {
        rig.send(&chunk(ordinal)).await;
    }
    let held = rig.receive(Lane::Chunks).await;
    let other = connect(&rig.options).await;
    for _ in 0..8 {
        let delivery = receive(&other, Lane::Chunks).await;
        delivery.settle(Settle::Ack).await.unwrap();
    }
    held.settle(Settle::Ack).await.unwrap();
    other.close().await;
    let last = rig.receive(Lane::Chunks).await;
    last.settle(Settle::Ack).await.unwrap();
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_connections_and_depth_counts() {
    let rig = Rig::new("ready").await;
    rig.queue.check().unwrap();
    assert_eq!(rig.queue.waiting(Lane::Jobs).await.unwrap(), 0);
    rig.send(&advance()).await;
    while rig.queue.waiting(Lane::Jobs).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    rig.receive_and_ack(&advance()).await;
    eventually(|| rig.queue.check().is_ok()).await;
    rig.queue.close().await;
    assert!(rig.queue.check().unwrap_err().is_transient());
    assert!(rig.queue.send(advance().into()).await.is_err());
    assert!(rig.queue.receive(Lane::Jobs).await.is_err());
    rig.finish().await;
}
