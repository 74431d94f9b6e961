//! Rows F1 to F5, F8 and F16 of the fault matrix.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use sluice_ports::{Blobs, Creation, PortKind};

use crate::proxy::{Fault, proxy};
use crate::scratch::{Scratch, endpoint, noise, options, write};

const SLOW_DOWN: &str = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
const INTERNAL: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalError</Code>\
    <Message>We encountered an internal error. Please try again.</Message></Error>";
const CONFLICT: &str = "<Error><Code>ConditionalRequestConflict</Code><Message>m</Message></Error>";
const TAKEN: &str = "<Error><Code>PreconditionFailed</Code><Message>m</Message></Error>";
const DISABLED: &str = "<Error><Code>KMS.DisabledException</Code><Message>off</Message></Error>";

/// A store behind a proxy that does this to the first `times` requests that `hit` picks.
async fn faulty(
    name: &str,
    times: u32,
    fault: Fault,
    hit: fn(&str) -> bool,
) -> (Scratch, Arc<AtomicU32>) {
    let hits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&hits);
    let rule = move |line: &str| {
        if hit(line) && counted.fetch_add(1, Ordering::SeqCst) < times {
            fault.clone()
        } else {
            Fault::None
        }
    };
    let mut options = options(name);
    options.endpoint = Some(proxy(&endpoint(), rule).await);
    (Scratch::with(options).await, hits)
}

fn is_put(line: &str) -> bool {
    line.starts_with("PUT ")
}

fn is_part(line: &str) -> bool {
    line.contains("partNumber=")
}

fn is_complete(line: &str) -> bool {
    line.starts_with("POST ") && line.contains("uploadId=")
}

#[tokio::test]
async fn f1_a_store_that_wants_a_pause_gets_it() {
    let (scratch, hits) = faulty("f1", 2, Fault::Answer(503, SLOW_DOWN), is_put).await;
    let ended = scratch.store.create("a", Bytes::from_static(b"x")).await;
    assert_eq!(ended.unwrap(), Creation::Created);
    assert_eq!(hits.load(Ordering::SeqCst), 3);
    scratch.clear().await;

    let (scratch, _) = faulty("f1-parts", 2, Fault::Answer(503, SLOW_DOWN), is_part).await;
    let body = noise(12 << 20);
    let ended = write(&scratch.store, "a", body.clone()).await;
    assert_eq!(ended.unwrap(), Creation::Created);
    assert!(scratch.store.get("a").await.unwrap().unwrap() == body);
    scratch.clear().await;
}

#[tokio::test]
async fn f1_one_that_never_recovers_is_transient() {
    let (scratch, hits) = faulty("f1-ever", 99, Fault::Answer(503, SLOW_DOWN), is_put).await;
    let error = scratch.store.create("a", Bytes::from_static(b"x")).await;
    assert_eq!(error.unwrap_err().kind, PortKind::Transient);
    assert_eq!(hits.load(Ordering::SeqCst), 4);
    scratch.clear().await;

    let (scratch, _) = faulty("f1-part", 99, Fault::Answer(503, SLOW_DOWN), is_part).await;
    let error = write(&scratch.store, "a", noise(12 << 20)).await;
    assert_eq!(error.unwrap_err().kind, PortKind::Transient);
    scratch.no_uploads_soon().await;
    assert_eq!(scratch.store.head("a").await.unwrap(), None);
    scratch.clear().await;
}

#[tokio::test]
async fn f2_a_completion_whose_answers_are_lost_is_found() {
    for times in [1, 99] {
        let (scratch, hits) = faulty("f2", times, Fault::LoseAnswer, is_complete).await;
        let body = noise(6 << 20);
        let ended = write(&scratch.store, "a", body.clone()).await;
        assert_eq!(ended.unwrap(), Creation::Created, "{times} answers lost");
        assert!(hits.load(Ordering::SeqCst) > 1, "the SDK tries again");
        assert!(scratch.store.get("a").await.unwrap().unwrap() == body);
        scratch.no_uploads_soon().await;
        scratch.clear().await;
    }
}

#[tokio::test]
async fn f2_another_s_object_is_not_taken_for_ours() {
    let (scratch, _) = faulty("f2-other", 99, Fault::LoseAnswer, is_complete).await;
    // Of the same size, as two attempts at one chunk are.
    let mut writer = scratch.store.start("a").await.unwrap();
    writer.write(noise(6 << 20)).await.unwrap();
    let ended = write(&scratch.store, "a", noise(6 << 20)).await;
    assert_eq!(ended.unwrap(), Creation::Created);
    assert_eq!(writer.finish().await.unwrap(), Creation::Exists);
    scratch.no_uploads_soon().await;
    scratch.clear().await;
}

#[tokio::test]
async fn f3_an_error_inside_of_success_is_an_error() {
    let (scratch, hits) = faulty("f3", 1, Fault::Answer(200, INTERNAL), is_complete).await;
    let body = noise(6 << 20);
    let ended = write(&scratch.store, "a", body.clone()).await;
    assert_eq!(ended.unwrap(), Creation::Created);
    assert_eq!(hits.load(Ordering::SeqCst), 2, "it was tried again");
    assert!(scratch.store.get("a").await.unwrap().unwrap() == body);
    scratch.clear().await;

    let (scratch, _) = faulty("f3-ever", 99, Fault::Answer(200, INTERNAL), is_complete).await;
    let error = write(&scratch.store, "a", body).await.unwrap_err();
    assert_eq!(error.kind, PortKind::Transient, "{}", error.chain());
    assert_eq!(scratch.store.head("a").await.unwrap(), None);
    scratch.no_uploads_soon().await;
    scratch.clear().await;
}

#[tokio::test]
async fn f4_what_is_damaged_on_its_way_is_not_kept() {
    let (scratch, _) = faulty("f4", 99, Fault::Corrupt, is_put).await;
    scratch
        .store
        .create("a", Bytes::from_static(b"xyz"))
        .await
        .unwrap_err();
    assert_eq!(scratch.store.head("a").await.unwrap(), None);
    write(&scratch.store, "b", noise(6 << 20))
        .await
        .unwrap_err();
    assert_eq!(scratch.store.head("b").await.unwrap(), None);
    scratch.no_uploads_soon().await;
    scratch.clear().await;
}

#[tokio::test]
async fn f5_a_creation_whose_answer_is_lost_is_ours() {
    for times in [1, 99] {
        let (scratch, _) = faulty("f5", times, Fault::LoseAnswer, is_put).await;
        let ours = scratch.store.create("a", Bytes::from_static(b"x")).await;
        assert_eq!(ours.unwrap(), Creation::Created, "{times} answers lost");
        let theirs = scratch.store.create("a", Bytes::from_static(b"x")).await;
        assert_eq!(theirs.unwrap(), Creation::Exists);
        scratch.clear().await;
    }
}

#[tokio::test]
async fn f8_a_conflict_is_tried_again() {
    let (scratch, hits) = faulty("f8", 2, Fault::Answer(409, CONFLICT), is_put).await;
    let ended = scratch.store.create("a", Bytes::from_static(b"x")).await;
    assert_eq!(ended.unwrap(), Creation::Created);
    assert_eq!(hits.load(Ordering::SeqCst), 3);
    scratch.clear().await;

    let (scratch, _) = faulty("f8-ever", 99, Fault::Answer(409, CONFLICT), is_put).await;
    let error = scratch.store.create("a", Bytes::from_static(b"x")).await;
    assert_eq!(error.unwrap_err().kind, PortKind::Transient);
    scratch.clear().await;

    let (scratch, _) = faulty("f8-large", 2, Fault::Answer(409, CONFLICT), is_complete).await;
    let ended = write(&scratch.store, "a", noise(6 << 20)).await;
    assert_eq!(ended.unwrap(), Creation::Created);
    scratch.clear().await;
}

#[tokio::test]
async fn a_refusal_for_an_object_that_was_just_deleted_is_no_error() {
    let (scratch, _) = faulty("gone", 1, Fault::Answer(412, TAKEN), is_put).await;
    let ended = scratch.store.create("a", Bytes::from_static(b"x")).await;
    assert_eq!(ended.unwrap(), Creation::Exists);
    scratch.clear().await;
}

#[tokio::test]
async fn f16_a_disabled_key_is_permanent() {
    let (scratch, hits) = faulty("f16", 99, Fault::Answer(400, DISABLED), is_put).await;
    let error = scratch
        .store
        .create("a", Bytes::from_static(b"x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, PortKind::Permanent);
    assert!(
        error.chain().contains("enable the key"),
        "{}",
        error.chain()
    );
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    scratch.clear().await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    fn is_get(line: &str) -> bool {
        line.starts_with("GET ")
    }
    let (scratch, _) = faulty("cut", 99, Fault::LoseAnswer, is_get).await;
    scratch
        .store
        .create("a", Bytes::from_static(b"x"))
        .await
        .unwrap();
    let error = scratch.store.get("a").await.unwrap_err();
    assert_eq!(error.kind, PortKind::Transient, "{}", error.chain());
    scratch.clear().await;
}
