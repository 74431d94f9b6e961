//! Errors say what is wrong, and whether trying again can help.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_blobs_s3::{S3Blobs, S3Credentials, S3Options};
use sluice_ports::{Blobs, PortKind};

use crate::proxy::{Fault, proxy};
use crate::scratch::{Scratch, endpoint, noise, options, write};

async fn refusal(options: S3Options) -> (PortKind, String) {
    let store = S3Blobs::connect(options).await.unwrap();
    let error = store
        .create("a", Bytes::from_static(b"x"))
        .await
        .unwrap_err();
    (error.kind, error.chain())
}

#[tokio::test]
async fn wrong_credentials_are_named() {
    let mut wrong = options("who");
    let S3Credentials::Static {
        access_key_id: good,
        ..
    } = wrong.credentials.clone()
    else {
        panic!("the stack has static credentials");
    };
    for (access_key_id, advice) in [
        ("nobody".to_owned(), "correct the access key id"),
        (good, "correct the secret access key"),
    ] {
        wrong.credentials = S3Credentials::Static {
            access_key_id,
            secret_access_key: "wrong-secret".to_owned(),
            session_token: None,
        };
        let (kind, text) = refusal(wrong.clone()).await;
        assert_eq!(kind, PortKind::Permanent, "{text}");
        assert!(text.contains(advice), "{text}");
        assert!(
            !text.contains("wrong-secret") && !text.contains("Signature="),
            "{text}"
        );
        assert!(!format!("{wrong:?}").contains("wrong-secret"));
    }
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    // SeaweedFS makes a bucket that is missing; others do not.
    let nowhere = "<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>";
    let nowhere = move |_: &str| Fault::Answer(404, nowhere);
    let missing = S3Options {
        endpoint: Some(proxy(&endpoint(), nowhere).await),
        ..options("where")
    };
    let (kind, text) = refusal(missing.clone()).await;
    assert_eq!(kind, PortKind::Permanent, "{text}");
    assert!(text.contains("create the bucket"), "{text}");
    let store = S3Blobs::connect(missing).await.unwrap();
    let error = write(&store, "a", noise(6 << 20)).await.unwrap_err();
    assert_eq!(error.kind, PortKind::Permanent, "{}", error.chain());

    let missing = S3Options {
        bucket: "sluice-is-not-here".to_owned(),
        ..options("where")
    };
    let store = S3Blobs::connect(missing).await.unwrap();
    let error = store.get("a").await.unwrap_err();
    assert_eq!(error.kind, PortKind::Permanent, "{}", error.chain());
}

#[tokio::test]
async fn a_store_that_is_away_may_come_back() {
    let away = S3Options {
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        ..options("away")
    };
    let begun = Instant::now();
    let (kind, text) = refusal(away).await;
    assert_eq!(kind, PortKind::Transient, "{text}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn impossible_options_are_refused() {
    let wrongs: [fn(&mut S3Options); 5] = [
        |options| options.bucket.clear(),
        |options| options.region.clear(),
        |options| options.prefix.push('/'),
        |options| options.part_bytes = 1 << 20,
        |options| options.parts_in_flight = 0,
    ];
    for wrong in wrongs {
        let mut options = options("options");
        wrong(&mut options);
        let error = S3Blobs::connect(options).await.err().unwrap();
        assert_eq!(error.kind, PortKind::Permanent);
    }
}

#[tokio::test]
async fn a_range_behind_the_end_is_empty() {
    use futures::TryStreamExt;
    let scratch = Scratch::new("behind").await;
    scratch
        .store
        .create("a", Bytes::from_static(b"abc"))
        .await
        .unwrap();
    let parts = scratch.store.read("a", 7..9).await.unwrap();
    let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
    assert_eq!(parts.concat(), b"");
    let missing = scratch.store.read("b", 3..3).await.err().unwrap();
    assert_eq!(missing.kind, PortKind::NotFound);
    scratch.clear().await;
}
