//! E1, E2, E6, E8, E9: a server that dies, forgets, fails over or does not answer.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use sluice_index_redis::{RedisIndex, RedisOptions};
use sluice_ports::{Index, PortError};

use crate::server::{BOUND, PATIENCE, Server};
use crate::shared::{LONG, exporting, job, status, tally};

/// Waits for an answer that must come in bounded time.
async fn bounded<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, call).await.unwrap()
}

/// Calls until it works again, on the same index.
async fn recovered(index: &RedisIndex) {
    for _ in 0..100 {
        if bounded(index.is_marked()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("it did not recover");
}

fn passing<T: std::fmt::Debug>(result: Result<T, PortError>) {
    let error = result.unwrap_err();
    assert!(error.is_transient(), "{}", error.chain());
}

/// Redis puts off its writing for up to two seconds while the disk is busy, and what was put off is lost with it.
const ALWAYS: [&str; 2] = ["--appendfsync", "always"];

#[tokio::test]
async fn kill_9_costs_errors_that_pass_and_nothing_else() {
    let mut server = Server::start(&ALWAYS);
    let index = server.index().await;
    exporting(&index, &job(1), 3).await;
    index.take_window(&job(1), 2, LONG.into()).await.unwrap();
    index.chunk_done(&job(1), 0, tally(4)).await.unwrap();
    index.mark().await.unwrap();
    let first = index.lease("x", LONG).await.unwrap().unwrap();
    let before = status(&index, &job(1)).await;

    server.kill();
    for _ in 0..3 {
        passing(bounded(index.get(&job(1))).await);
        passing(bounded(index.chunk_done(&job(1), 1, tally(1))).await);
        passing(bounded(index.jobs()).await);
        passing(bounded(index.probe(sluice_fhir::Instant::from_millis(0))).await);
    }
    server.start_again(&ALWAYS);
    recovered(&index).await;
    assert_eq!(status(&index, &job(1)).await, before);
    assert!(index.is_marked().await.unwrap());
    assert_eq!(index.lease("x", LONG).await.unwrap(), None, "still held");
    index.release(&first).await.unwrap();
    let second = index.lease("x", LONG).await.unwrap().unwrap();
    assert!(second.epoch > first.epoch);
}

#[tokio::test]
async fn a_restart_between_two_calls_is_not_even_noticed() {
    let mut server = Server::start(&ALWAYS);
    let index = server.index().await;
    exporting(&index, &job(1), 3).await;
    for chunk in 0..3 {
        server.kill();
        server.start_again(&ALWAYS);
        let done = index.chunk_done(&job(1), chunk, tally(1)).await.unwrap();
        assert!(done.first);
    }
    assert!(status(&index, &job(1)).await.is_settled());
}

#[tokio::test]
async fn flushall_takes_the_mark_and_epochs_still_grow() {
    let server = Server::start(&[]);
    let index = server.index().await;
    exporting(&index, &job(1), 3).await;
    index.mark().await.unwrap();
    let first = index.lease("x", LONG).await.unwrap().unwrap();
    server.tell("FLUSHALL").await;
    assert!(!index.is_marked().await.unwrap());
    assert_eq!(index.get(&job(1)).await.unwrap(), None);
    assert_eq!(index.jobs().await.unwrap(), []);
    let second = index.lease("x", LONG).await.unwrap().unwrap();
    assert!(second.epoch > first.epoch);
    assert!(!index.renew(&first, LONG).await.unwrap());
    exporting(&index, &job(1), 3).await;
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let server = Server::start(&[]);
    let index = server.index().await;
    exporting(&index, &job(1), 3).await;
    server.tell("SCRIPT FLUSH").await;
    assert_eq!(
        index.take_window(&job(1), 1, LONG.into()).await.unwrap(),
        [0]
    );
    assert_eq!(status(&index, &job(1)).await.outstanding, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_piles_nothing_up() {
    let server = Server::start(&[]);
    let index = Arc::new(server.index().await);
    exporting(&index, &job(1), 500).await;
    let mut admin = server.admin().await;
    server.tell("CLIENT PAUSE 4000 ALL").await;
    for round in 0..3 {
        let calls = (0..150).map(|chunk| {
            let index = Arc::clone(&index);
            let chunk = round * 150 + chunk;
            tokio::spawn(async move { index.chunk_done(&job(1), chunk, tally(1)).await })
        });
        for result in bounded(join_all(calls)).await {
            passing(result.unwrap());
        }
    }
    recovered(&index).await;
    // What was sent may or may not have counted, but never twice.
    for chunk in 0..450 {
        index.chunk_done(&job(1), chunk, tally(1)).await.unwrap();
    }
    let now = status(&index, &job(1)).await;
    assert_eq!((now.done, now.tally), (450, tally(450)));
    let clients: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query_async(&mut admin)
        .await
        .unwrap();
    assert!(clients.lines().count() < 10, "{clients}");
}

#[tokio::test]
async fn a_former_primary_is_left_for_the_new_one() {
    let server = Server::start(&[]);
    let index = server.index().await;
    exporting(&index, &job(1), 3).await;
    // Port 1 answers nobody, so this one stays a replica of nothing.
    server.tell("REPLICAOF 127.0.0.1 1").await;
    passing(bounded(index.chunk_done(&job(1), 0, tally(1))).await);
    server.tell("REPLICAOF NO ONE").await;
    assert!(index.chunk_done(&job(1), 0, tally(1)).await.unwrap().first);
}

#[tokio::test]
async fn a_refused_handshake_is_no_dead_end() {
    let mut server = Server::start(&[]);
    let index = server.index().await;
    server.kill();
    server.start_again(&["--maxclients", "1"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let only = server.admin().await;
    for _ in 0..3 {
        passing(bounded(index.is_marked()).await);
    }
    drop(only);
    recovered(&index).await;
}

#[tokio::test]
async fn who_cannot_connect_hears_why_and_no_secret() {
    let server = Server::start(&["--requirepass", "right"]);
    let url = server.url().replace("redis://", "redis://:hunter2@");
    let wrong = RedisIndex::connect(RedisOptions::new(url)).await;
    let error = wrong.err().unwrap();
    assert!(!error.is_transient());
    assert!(!error.chain().contains("hunter2"), "{}", error.chain());
    let url = server.url().replace("redis://", "redis://:right@");
    RedisIndex::connect(RedisOptions::new(url)).await.unwrap();

    for url in ["http://:hunter2@x", "redis://:hunter2@x:port/", "hunter2"] {
        let error = RedisIndex::connect(RedisOptions::new(url)).await.err();
        let told = error.unwrap().chain();
        assert!(!told.contains("hunter2"), "{told}");
    }
    let mut options = RedisOptions::new("redis://127.0.0.1:1/");
    options.connect_timeout = PATIENCE;
    let error = bounded(RedisIndex::connect(options)).await.err().unwrap();
    assert!(error.is_transient(), "{}", error.chain());
    let mut options = RedisOptions::new(server.url());
    "a{b}".clone_into(&mut options.prefix);
    let error = RedisIndex::connect(options).await.err().unwrap();
    assert!(!error.is_transient());
}
