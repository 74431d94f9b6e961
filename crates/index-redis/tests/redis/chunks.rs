//! Chunks under many hands, and in great numbers.

use std::time::Duration;

use futures::future::join_all;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use sluice_fhir::Instant;
use sluice_index_redis::RedisIndex;
use sluice_model::{JobState, Tally};
use sluice_ports::Index;

use crate::server::Server;
use crate::shared::{LONG, exporting, job, keys, on_shared, status, tally};

#[tokio::test(flavor = "multi_thread")]
async fn one_chunk_done_a_hundred_times_at_once_counts_once() {
    on_shared("same-chunk", |place| async move {
        exporting(&place.index, &job(1), 2).await;
        let calls = (0..100).map(|_| {
            let index = place.index.clone();
            tokio::spawn(async move { index.chunk_done(&job(1), 1, tally(5)).await.unwrap() })
        });
        let done = join_all(calls).await;
        let firsts = done.iter().filter(|done| done.as_ref().unwrap().first);
        assert_eq!(firsts.count(), 1);
        let status = status(&place.index, &job(1)).await;
        assert_eq!((status.done, status.tally), (1, tally(5)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_chunks_done_at_once_are_a_hundred() {
    on_shared("other-chunks", |place| async move {
        exporting(&place.index, &job(1), 100).await;
        let calls = (0..100).map(|chunk| {
            let index = place.index.clone();
            tokio::spawn(async move { index.chunk_done(&job(1), chunk, tally(1)).await.unwrap() })
        });
        let done = join_all(calls).await;
        let done: Vec<_> = done.into_iter().map(Result::unwrap).collect();
        assert!(done.iter().all(|done| done.first));
        assert_eq!(done.iter().filter(|done| done.settled).count(), 1);
        let status = status(&place.index, &job(1)).await;
        assert_eq!((status.done, status.tally), (100, tally(100)));
        assert!(status.is_settled());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_windows_never_share_a_chunk() {
    on_shared("race", |place| async move {
        exporting(&place.index, &job(1), 500).await;
        let takers = (0..20).map(|taker| {
            let index = place.index.clone();
            tokio::spawn(async move {
                let mut all = Vec::new();
                for _ in 0..20 {
                    let taken = index
                        .take_window(&job(1), 40 + taker, LONG.into())
                        .await
                        .unwrap();
                    for chunk in &taken {
                        index.chunk_done(&job(1), *chunk, tally(1)).await.unwrap();
                    }
                    all.extend(taken);
                }
                all
            })
        });
        let mut all: Vec<u32> = join_all(takers)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..500).collect::<Vec<u32>>());
    })
    .await;
}

#[tokio::test]
async fn silent_chunks_come_back_and_no_longer_count() {
    on_shared("stale", |place| async move {
        let index = &place.index;
        exporting(index, &job(1), 10).await;
        assert_eq!(
            index.take_window(&job(1), 3, LONG.into()).await.unwrap(),
            [0, 1, 2]
        );
        index.chunk_progress(&job(1), 0, tally(2)).await.unwrap();
        index.chunk_progress(&job(1), 1, tally(3)).await.unwrap();
        index.chunk_progress(&job(1), 1, tally(4)).await.unwrap();
        assert_eq!(status(index, &job(1)).await.in_flight, tally(6));
        index.chunk_done(&job(1), 0, tally(9)).await.unwrap();
        assert_eq!(status(index, &job(1)).await.in_flight, tally(4));
        tokio::time::sleep(Duration::from_millis(300)).await;
        index.chunk_progress(&job(1), 2, tally(1)).await.unwrap();
        let stale = Duration::from_millis(200);
        assert_eq!(
            index.take_window(&job(1), 3, stale.into()).await.unwrap(),
            [1, 3]
        );
        let now = status(index, &job(1)).await;
        assert_eq!((now.in_flight, now.outstanding), (tally(1), 3));
        let at = Instant::from_millis(2);
        index.end(&job(1), JobState::Complete, at).await.unwrap();
        let now = status(index, &job(1)).await;
        assert_eq!((now.in_flight, now.outstanding), (Tally::default(), 0));
    })
    .await;
}

/// How many commands the server has carried out, those inside scripts included.
async fn commands(admin: &mut MultiplexedConnection) -> u64 {
    let mut ask = redis::cmd("INFO");
    ask.arg("commandstats");
    let info: String = ask.query_async(admin).await.unwrap();
    let calls = info.lines().filter_map(|line| {
        let (_, rest) = line.split_once(":calls=")?;
        rest.split(',').next()?.parse::<u64>().ok()
    });
    calls.sum()
}

/// Chunk 0 of 100 000 is slow; all others but two were done meanwhile.
async fn large(index: &RedisIndex, admin: &mut MultiplexedConnection, done: &str) {
    exporting(index, &job(1), CHUNKS).await;
    assert_eq!(
        index.take_window(&job(1), 1, LONG.into()).await.unwrap(),
        [0]
    );
    let bits = vec![255_u8; usize::try_from(CHUNKS / 8).unwrap()];
    let _: u64 = admin.setrange(done, 0, bits).await.unwrap();
    for chunk in [0, 77_777, 99_990] {
        let _: bool = admin.setbit(done, chunk, false).await.unwrap();
    }
}

const CHUNKS: u32 = 100_000;

#[tokio::test]
async fn a_hundred_thousand_chunks_stay_cheap() {
    let server = Server::start(&[]);
    let (index, mut admin) = (server.index().await, server.admin().await);
    let key = |part: &str| format!("sluice:{{{}}}:{part}", job(1));
    large(&index, &mut admin, &key("done")).await;

    let before = commands(&mut admin).await;
    let taken = index.take_window(&job(1), 3, LONG.into()).await.unwrap();
    let cost = commands(&mut admin).await - before;
    assert_eq!(taken, [77_777, 99_990]);
    assert!(cost < 25, "{cost} commands");

    let done = index.chunk_done(&job(1), 0, tally(1)).await.unwrap();
    assert!(done.first && !done.settled);
    assert_eq!(status(&index, &job(1)).await.done, CHUNKS - 2);
    let nothing = index.take_window(&job(1), 9, LONG.into()).await.unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");
    let low: u32 = admin.hget(key("status"), "low").await.unwrap();
    assert_eq!(
        low, 77_777,
        "the next search begins at the first open chunk"
    );

    let mut bytes = 0_u64;
    for key in keys(&mut admin, "sluice").await {
        let mut ask = redis::cmd("MEMORY");
        ask.arg("USAGE").arg(key);
        bytes += ask.query_async::<u64>(&mut admin).await.unwrap();
    }
    assert!(bytes < 1 << 16, "{bytes} bytes");
}
