//! What comes back, and from where.

use std::collections::HashSet;
use std::sync::Arc;

use sluice_model::Lane;
use sluice_ports::{Queue, Settle};

use crate::rig::{Rig, chunk, connect, options, receive};

/// T8, at shutdown: what waits inside the process is not lost with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asked_for_comes_back_at_close() {
    let rig = Rig::new("close").await;
    for ordinal in 0..4 {
        rig.send(&chunk(ordinal)).await;
    }
    let first = rig.receive(Lane::Chunks).await;
    let mut left: HashSet<_> = (0..4).map(chunk).collect();
    left.remove(first.hint());
    first.settle(Settle::Ack).await.unwrap();
    rig.queue.close().await;
    let next = connect(&rig.options).await;
    while !left.is_empty() {
        let delivery = receive(&next, Lane::Chunks).await;
        assert!(left.remove(delivery.hint()));
        delivery.settle(Settle::Ack).await.unwrap();
    }
    next.close().await;
    rig.finish().await;
}

/// T8, while running: receivers are cancelled at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_receiver_took_comes_back() {
    let rig = Rig::new("cancel").await;
    let mut left = HashSet::new();
    for ordinal in 0..30 {
        let queue = Arc::clone(&rig.queue);
        let receiver = tokio::spawn(async move { queue.receive(Lane::Chunks).await });
        rig.send(&chunk(ordinal)).await;
        left.insert(chunk(ordinal));
        receiver.abort();
    }
    while !left.is_empty() {
        let delivery = rig.receive(Lane::Chunks).await;
        left.remove(delivery.hint());
        delivery.settle(Settle::Ack).await.unwrap();
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_comes_back_when_the_queue_is_dropped() {
    let rig = Rig::new("dropped").await;
    rig.send(&chunk(0)).await;
    let holder = connect(&rig.options).await;
    let held = receive(&holder, Lane::Chunks).await;
    drop(holder);
    rig.receive_and_ack(&chunk(0)).await;
    assert!(!held.is_held());
    rig.finish().await;
}

/// D7: the broker counts what is dropped, and puts it on the dead lane when it is too much.
#[tokio::test(flavor = "multi_thread")]
async fn d7_what_the_broker_gives_up_is_read_from_the_dead_lane() {
    let mut options = options("d7");
    options.delivery_limit = 2;
    let rig = Rig::with(options).await;
    rig.send(&chunk(1)).await;
    for _ in 0..3 {
        drop(rig.receive(Lane::Chunks).await);
    }
    let dead = rig.receive(Lane::Dead).await;
    assert_eq!((dead.hint(), dead.attempt()), (&chunk(1), 0));
    dead.settle(Settle::Ack).await.unwrap();
    rig.finish().await;
}
