//! What unfinished uploads leave: nothing.

use std::time::Duration;

use bytes::Bytes;
use sluice_ports::{Blobs, PortKind};

use crate::proxy::{Fault, proxy};
use crate::scratch::{Scratch, endpoint, noise, now, options};

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let scratch = Scratch::new("abort").await;
    let mut writer = scratch.store.start("a").await.unwrap();
    writer.write(noise(12 << 20)).await.unwrap();
    assert_eq!(scratch.uploads().await, 1);
    writer.abort().await.unwrap();
    assert_eq!(scratch.uploads().await, 0);
    assert_eq!(scratch.store.head("a").await.unwrap(), None);
    scratch.clear().await;
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing() {
    let scratch = Scratch::new("drop").await;
    let mut writer = scratch.store.start("a").await.unwrap();
    writer.write(noise(12 << 20)).await.unwrap();
    assert_eq!(scratch.uploads().await, 1);
    drop(writer);
    scratch.no_uploads_soon().await;
    assert_eq!(scratch.store.head("a").await.unwrap(), None);
    scratch.clear().await;
}

#[tokio::test]
async fn old_uploads_are_swept() {
    let scratch = Scratch::new("sweep").await;
    let mut writer = scratch.store.start("a").await.unwrap();
    writer.write(noise(6 << 20)).await.unwrap();
    // As a crash does.
    std::mem::forget(writer);
    let hour = Duration::from_hours(1);
    assert_eq!(scratch.store.sweep_uploads(hour, now()).await.unwrap(), 0);
    assert_eq!(scratch.uploads().await, 1);
    let later = now() + 2 * hour;
    assert_eq!(scratch.store.sweep_uploads(hour, later).await.unwrap(), 1);
    assert_eq!(scratch.uploads().await, 0);
    scratch.clear().await;
}

#[tokio::test]
async fn a_cancelled_write_never_becomes_an_object_with_a_hole() {
    // Parts never arrive, so the writer waits for the first of them.
    let refuse = |line: &str| {
        if line.contains("partNumber=") {
            Fault::Answer(503, "<Error><Code>SlowDown</Code></Error>")
        } else {
            Fault::None
        }
    };
    let mut options = options("cancel");
    options.endpoint = Some(proxy(&endpoint(), refuse).await);
    let scratch = Scratch::with(options).await;
    let mut writer = scratch.store.start("a").await.unwrap();
    let moment = Duration::from_millis(200);
    let write = writer.write(noise(30 << 20));
    tokio::time::timeout(moment, write).await.unwrap_err();
    let refused = writer.write(Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(refused.kind, PortKind::Transient);
    let refused = writer.finish().await.unwrap_err();
    assert_eq!(refused.kind, PortKind::Transient);
    scratch.no_uploads_soon().await;
    assert_eq!(scratch.store.head("a").await.unwrap(), None);
    scratch.clear().await;
}
