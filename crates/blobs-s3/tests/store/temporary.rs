//! Temporary.
use crate::scratch::*;
use futures::future::join_all;
use sluice_blobs_s3::*;
use sluice_ports::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_race() {
    let scratch = Scratch::new("rawrace").await;
    let client = raw();
    let bucket = &scratch.options.bucket;
    let mut winners = std::collections::BTreeMap::new();
    for round in 0..12 {
        let begun = std::time::Instant::now(); let key = format!("{}/k{round}", scratch.options.prefix);
        let size = if round % 2 == 0 { 100 } else { 300_000 };
        let ended = join_all((0..16_u8).map(|who| {
            tokio::spawn(
                client
                    .put_object()
                    .bucket(bucket)
                    .key(&key)
                    .if_none_match("*")
                    .body(vec![who; size].into())
                    .send(),
            )
        }))
        .await;
        let n = ended
            .into_iter()
            .filter(|e| e.as_ref().unwrap().is_ok())
            .count();
        *winners.entry((size, n)).or_insert(0) += 1;
    }
    println!("round put winners {winners:?}");
    // Through several clients, as several processes.
    let mut winners = std::collections::BTreeMap::new();
    let mut stores = Vec::new();
    for _ in 0..16 {
        stores.push(S3Blobs::connect(scratch.options.clone()).await.unwrap());
    }
    for round in 0..12 {
        let key = format!("c{round}");
        let ended = join_all(stores.iter().cloned().map(|store| {
            let key = key.clone();
            tokio::spawn(async move { store.create(&key, bytes::Bytes::from(vec![1; 500])).await })
        }))
        .await;
        let n = ended
            .into_iter()
            .filter(|e| matches!(e.as_ref().unwrap(), Ok(Creation::Created)))
            .count();
        *winners.entry(n).or_insert(0) += 1;
    }
    println!("round create winners {winners:?}");
    scratch.clear().await;
}
