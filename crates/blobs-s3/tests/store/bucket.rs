//! What the port promises.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use sluice_blobs_s3::S3Options;
use sluice_fhir::Instant;
use sluice_ports::{BlobWriter, Blobs, Creation, conformance};

use crate::scratch::{Scratch, noise, options, write};

#[tokio::test]
async fn it_is_a_blob_store() {
    let scratch = Scratch::new("conformance").await;
    let done = conformance::blobs(&scratch.store, "suite/").await;
    if let Err(error) = done {
        panic!("{}", error.chain());
    }
    scratch.clear().await;
}

/// As bodies are sent to an endpoint over TLS.
#[tokio::test]
async fn it_is_one_whose_signatures_leave_bodies_out() {
    let unsigned = S3Options {
        sign_payloads: false,
        ..options("unsigned")
    };
    let scratch = Scratch::with(unsigned).await;
    let done = conformance::blobs(&scratch.store, "suite/").await;
    if let Err(error) = done {
        panic!("{}", error.chain());
    }
    let in_parts = write(&scratch.store, "parts", noise(20 << 20)).await;
    assert_eq!(in_parts.unwrap(), Creation::Created);
    scratch.clear().await;
}

#[tokio::test]
async fn it_is_one_without_checksums_and_in_the_bucket_s_root() {
    let plain = S3Options {
        checksums_when_required: true,
        ..options("plain")
    };
    // The name of the test becomes part of the keys instead.
    let suite = format!("{}/", plain.prefix);
    let rootless = S3Options {
        prefix: String::new(),
        ..plain.clone()
    };
    let root = Scratch::with(rootless).await;
    let done = conformance::blobs(&root.store, &suite).await;
    if let Err(error) = done {
        panic!("{}", error.chain());
    }
    Scratch::with(plain).await.clear().await;
}

#[tokio::test]
async fn of_sixteen_creators_one_wins() {
    let scratch = Scratch::new("race").await;
    let creators = (0..16_u8).map(|who| scratch.store.create("small", Bytes::from(vec![who; 99])));
    let ended = join_all(creators).await.into_iter().map(Result::unwrap);
    assert_eq!(ended.filter(|end| *end == Creation::Created).count(), 1);
    scratch.clear().await;
}

/// Not that one wins: `SeaweedFS` 4.48 looks for the object first, then completes, so that up to
/// all sixteen are told that they did. Data keys have one writer each; commits are single puts.
#[tokio::test]
async fn racing_uploads_leave_one_whole_object() {
    let scratch = Scratch::new("race-large").await;
    let store = &scratch.store;
    let body = noise(6 << 20);
    let mut writers = Vec::new();
    for _ in 0..16 {
        let mut writer = store.start("large").await.unwrap();
        writer.write(body.clone()).await.unwrap();
        writers.push(writer);
    }
    assert_eq!(scratch.uploads().await, 16);
    let late = writers.pop().unwrap();
    let ended = join_all(writers.into_iter().map(BlobWriter::finish)).await;
    let ended: Vec<_> = ended.into_iter().map(Result::unwrap).collect();
    assert!(ended.contains(&Creation::Created));
    assert_eq!(late.finish().await.unwrap(), Creation::Exists);
    assert!(store.get("large").await.unwrap().unwrap() == body);
    // Who loses aborts, as well as can be. SeaweedFS may keep an upload of such a race all the same, which is
    // what the sweep is for.
    let long_after = Instant::from_millis(4_102_444_800_000);
    store
        .sweep_unfinished(Duration::ZERO, long_after)
        .await
        .unwrap();
    scratch.no_uploads_soon().await;
    scratch.clear().await;
}

#[tokio::test]
async fn sizes_about_the_part_size_come_back_whole() {
    let scratch = Scratch::new("sizes").await;
    let part = scratch.options.part_bytes;
    for size in [0, 1, part - 1, part, part + 1, 2 * part, 2 * part + 7] {
        let key = format!("{size}.ndjson");
        let body = noise(size);
        let ended = write(&scratch.store, &key, body.clone()).await.unwrap();
        assert_eq!(ended, Creation::Created);
        let parts = scratch.store.read(&key, 0..u64::MAX).await.unwrap();
        let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
        assert!(parts.concat() == body, "{size} bytes come back");
    }
    scratch.clear().await;
}

#[tokio::test]
async fn many_objects_are_listed_and_deleted() {
    let scratch = Scratch::new("many").await;
    let store = &scratch.store;
    let keys: Vec<_> = (0..1100).map(|number| format!("a/{number:04}")).collect();
    for keys in keys.chunks(50) {
        let creations = keys.iter().map(|key| store.create(key, Bytes::new()));
        for ended in join_all(creations).await {
            assert_eq!(ended.unwrap(), Creation::Created);
        }
    }
    let found = store.list("a/", None, usize::MAX).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|info| info.key).collect();
    assert_eq!(found, keys);
    let rest = store.list("a/", Some("a/0041"), 1050).await.unwrap();
    assert_eq!(rest.len(), 1050);
    assert_eq!(rest[0].key, "a/0042");
    store.delete(&keys).await.unwrap();
    assert_eq!(store.list("a/", None, 1).await.unwrap(), []);
    scratch.clear().await;
}
