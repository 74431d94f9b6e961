//! Links work alone, for as long as they say, and for nothing else.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, StatusCode};
use sluice_ports::{Blobs, PortKind};

use crate::scratch::Scratch;

fn browser() -> Client {
    // Another test may have installed it.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_gzip().build().unwrap()
}

async fn status(url: &str) -> StatusCode {
    browser().get(url).send().await.unwrap().status()
}

#[tokio::test]
async fn a_link_is_all_a_client_needs() {
    let scratch = Scratch::new("link").await;
    let store = &scratch.store;
    let body = Bytes::from_static(b"{\"resourceType\":\"Patient\"}\n");
    for (key, encoding) in [
        ("Patient.1.ndjson", None),
        ("Patient.1.ndjson.gz", Some("gzip")),
    ] {
        store.create(key, body.clone()).await.unwrap();
        let link = store
            .link(key, Duration::from_mins(5))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(link.life, Duration::from_mins(5));
        let answer = browser().get(&link.url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let header = |name: &str| {
            let found = answer.headers().get(name)?;
            found.to_str().ok()
        };
        assert_eq!(header("content-type"), Some("application/fhir+ndjson"));
        assert_eq!(header("content-encoding"), encoding);
        let disposition = "attachment; filename=\"Patient.1.ndjson\"";
        assert_eq!(header("content-disposition"), Some(disposition));
        assert_eq!(answer.bytes().await.unwrap(), body);
        assert_eq!(store.get(key).await.unwrap().unwrap(), body);

        let part = browser().get(&link.url).header("Range", "bytes=2-13");
        let part = part.send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.bytes().await.unwrap(), body.slice(2..14));
    }
    store.create("manifest.json", body).await.unwrap();
    let link = store.link("manifest.json", Duration::from_secs(9)).await;
    let answer = browser()
        .get(link.unwrap().unwrap().url)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    scratch.clear().await;
}

#[tokio::test]
async fn a_link_opens_nothing_else() {
    let scratch = Scratch::new("tamper").await;
    let store = &scratch.store;
    store
        .create("mine.ndjson", Bytes::from_static(b"1"))
        .await
        .unwrap();
    store
        .create("hers.ndjson", Bytes::from_static(b"2"))
        .await
        .unwrap();
    let life = Duration::from_mins(5);
    let url = store.link("mine.ndjson", life).await.unwrap().unwrap().url;
    assert_eq!(status(&url).await, StatusCode::OK);
    assert_eq!(
        status(&url.replace("mine", "hers")).await,
        StatusCode::FORBIDDEN
    );
    let longer = url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000");
    assert_ne!(longer, url);
    assert_eq!(status(&longer).await, StatusCode::FORBIDDEN);
    let (signed, signature) = url.split_once("X-Amz-Signature=").unwrap();
    let other = if signature.starts_with('0') { "1" } else { "0" };
    let forged = format!("{signed}X-Amz-Signature={other}{}", &signature[1..]);
    assert_eq!(status(&forged).await, StatusCode::FORBIDDEN);
    let bare = url.split_once('?').unwrap().0;
    assert_eq!(status(bare).await, StatusCode::FORBIDDEN);
    scratch.clear().await;
}

#[tokio::test]
async fn a_link_ends() {
    let scratch = Scratch::new("expiry").await;
    let store = &scratch.store;
    store
        .create("a.ndjson", Bytes::from_static(b"1"))
        .await
        .unwrap();
    let link = store.link("a.ndjson", Duration::from_millis(1900)).await;
    let link = link.unwrap().unwrap();
    assert_eq!(
        link.life,
        Duration::from_secs(1),
        "whole seconds are signed"
    );
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(status(&link.url).await, StatusCode::FORBIDDEN);

    let year = store.link("a.ndjson", Duration::from_hours(365 * 24)).await;
    let year = year.unwrap().unwrap();
    assert_eq!(year.life, Duration::from_hours(7 * 24));
    assert!(year.url.contains("X-Amz-Expires=604800"));
    assert_eq!(status(&year.url).await, StatusCode::OK);
    let none = store.link("a.ndjson", Duration::ZERO).await.unwrap_err();
    assert_eq!(none.kind, PortKind::Transient);
    scratch.clear().await;
}
