//! Objects are there whole or not at all, once, and until they are deleted.

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;

use crate::{Blobs, Creation, PortError, PortKind};

/// Runs the suite below `prefix`, which ends in a slash and has nothing under it.
pub async fn blobs(store: &dyn Blobs, prefix: &str) -> Result<(), PortError> {
    the_first_writer_wins(store, &format!("{prefix}first/")).await?;
    of_racing_writers_one_wins(store, &format!("{prefix}race/")).await?;
    large_objects_appear_at_once_and_once(store, &format!("{prefix}large/")).await?;
    parts_can_be_read(store, &format!("{prefix}parts/")).await?;
    an_open_stream_outlives_its_object(store, &format!("{prefix}open/")).await?;
    lists_are_ordered_and_paged(store, &format!("{prefix}list/")).await?;
    deleting_is_repeatable(store, &format!("{prefix}delete/")).await
}

async fn read(
    store: &dyn Blobs,
    key: &str,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, PortError> {
    let parts: Vec<Bytes> = store.read(key, range).await?.try_collect().await?;
    Ok(parts.concat())
}

async fn the_first_writer_wins(store: &dyn Blobs, prefix: &str) -> Result<(), PortError> {
    let key = format!("{prefix}a");
    assert_eq!(store.get(&key).await?, None);
    assert_eq!(store.head(&key).await?, None);
    assert_eq!(
        store.create(&key, Bytes::from_static(b"one")).await?,
        Creation::Created
    );
    assert_eq!(
        store.create(&key, Bytes::from_static(b"two")).await?,
        Creation::Exists
    );
    assert_eq!(store.get(&key).await?.as_deref(), Some(&b"one"[..]));
    assert_eq!(store.head(&key).await?.map(|info| info.size), Some(3));
    let empty = format!("{prefix}empty");
    assert_eq!(store.create(&empty, Bytes::new()).await?, Creation::Created);
    assert_eq!(store.get(&empty).await?.as_deref(), Some(&b""[..]));
    Ok(())
}

async fn of_racing_writers_one_wins(store: &dyn Blobs, prefix: &str) -> Result<(), PortError> {
    for round in 0..8 {
        let key = format!("{prefix}{round}/deep/key");
        let writers = (0..8_u8).map(|writer| store.create(&key, Bytes::from(vec![writer; 64])));
        let mut winners = Vec::new();
        for (writer, ended) in (0..).zip(join_all(writers).await) {
            if ended? == Creation::Created {
                winners.push(writer);
            }
        }
        assert_eq!(winners.len(), 1, "one writer of {key} hears Created");
        let there = store.get(&key).await?;
        assert_eq!(
            there,
            winners.first().map(|winner| vec![*winner; 64].into())
        );
    }
    Ok(())
}

async fn large_objects_appear_at_once_and_once(
    store: &dyn Blobs,
    prefix: &str,
) -> Result<(), PortError> {
    let key = format!("{prefix}a");
    let mut writer = store.start(&key).await?;
    let mut other = store.start(&key).await?;
    for part in 0..9_u8 {
        writer.write(Bytes::from(vec![part; 1 << 20])).await?;
        assert_eq!(store.head(&key).await?, None, "unfinished is invisible");
    }
    other.write(Bytes::from_static(b"late")).await?;
    assert_eq!(writer.finish().await?, Creation::Created);
    assert_eq!(store.head(&key).await?.map(|info| info.size), Some(9 << 20));
    assert_eq!(other.finish().await?, Creation::Exists);
    assert_eq!(store.head(&key).await?.map(|info| info.size), Some(9 << 20));

    let aborted = format!("{prefix}aborted");
    let mut writer = store.start(&aborted).await?;
    writer.write(Bytes::from_static(b"x")).await?;
    writer.abort().await?;
    let dropped = format!("{prefix}dropped");
    store
        .start(&dropped)
        .await?
        .write(Bytes::from_static(b"x"))
        .await?;
    assert_eq!(store.list(prefix, None, 10).await?.len(), 1);
    Ok(())
}

async fn parts_can_be_read(store: &dyn Blobs, prefix: &str) -> Result<(), PortError> {
    let key = format!("{prefix}a");
    store
        .create(&key, Bytes::from_static(b"0123456789"))
        .await?;
    assert_eq!(read(store, &key, 0..10).await?, b"0123456789");
    assert_eq!(read(store, &key, 3..5).await?, b"34");
    assert_eq!(read(store, &key, 5..5).await?, b"");
    let missing = format!("{prefix}none");
    let refused = store.read(&missing, 0..1).await.err();
    assert_eq!(refused.map(|error| error.kind), Some(PortKind::NotFound));
    Ok(())
}

/// a download that has begun goes on.
async fn an_open_stream_outlives_its_object(
    store: &dyn Blobs,
    prefix: &str,
) -> Result<(), PortError> {
    let key = format!("{prefix}a");
    let size = 5 << 20;
    let mut writer = store.start(&key).await?;
    writer.write(Bytes::from(vec![7; size])).await?;
    writer.finish().await?;
    let mut stream = store.read(&key, 0..5 << 20).await?;
    let first = stream.try_next().await?.unwrap_or_default();
    store.delete(&[key]).await?;
    let rest: Vec<Bytes> = stream.try_collect().await?;
    let rest: usize = rest.iter().map(Bytes::len).sum();
    assert_eq!(first.len() + rest, size);
    Ok(())
}

async fn lists_are_ordered_and_paged(store: &dyn Blobs, prefix: &str) -> Result<(), PortError> {
    // `-` and `.` sort before `/`, letters after it.
    for name in ["b/2", "a", "b-1", "b/1", "c/d/e", "b.x", "b"] {
        // A store of files cannot hold `b` beside `b/1`, and no layout asks for it.
        if name != "b" {
            store
                .create(&format!("{prefix}{name}"), Bytes::from_static(b"x"))
                .await?;
        }
    }
    let mut found = Vec::new();
    loop {
        let after = found.last().cloned();
        let page = store.list(prefix, after.as_deref(), 2).await?;
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|info| info.key));
    }
    let expected = ["a", "b-1", "b.x", "b/1", "b/2", "c/d/e"].map(|name| format!("{prefix}{name}"));
    assert_eq!(found, expected);
    assert_eq!(store.folders(prefix).await?, ["b", "c"]);
    assert_eq!(
        store.folders(&format!("{prefix}none/")).await?,
        Vec::<String>::new()
    );
    Ok(())
}

async fn deleting_is_repeatable(store: &dyn Blobs, prefix: &str) -> Result<(), PortError> {
    let keys = ["a/1", "a/2", "b"].map(|name| format!("{prefix}{name}"));
    for key in &keys {
        store.create(key, Bytes::from_static(b"x")).await?;
    }
    store.delete(&keys[..2]).await?;
    store.delete(&keys[..2]).await?;
    assert_eq!(store.list(prefix, None, 10).await?.len(), 1);
    assert_eq!(store.folders(prefix).await?, Vec::<String>::new());
    assert_eq!(
        store.create(&keys[0], Bytes::from_static(b"y")).await?,
        Creation::Created
    );
    Ok(())
}
