//! Every local adapter, held against the suite of its port.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use sluice_local::{
    DirectoryBlobs, FileSink, Habits, MemoryBlobs, MemoryIndex, MemoryQueue, StdoutSink,
};
use sluice_model::{ChunkId, Hint, JobId, JobRef, Lane, TenantId, layout};
use sluice_ports::{Queue, Settle, conformance};
use sluice_testkit::{ManualClock, SeededEntropy};

fn tenant() -> TenantId {
    "test".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let store = DirectoryBlobs::open(folder.path()).unwrap();
    conformance::blobs(&store, "test/").await.unwrap();
    // What was left unfinished is gone, also after a restart.
    let store = DirectoryBlobs::open(folder.path()).unwrap();
    let uploads = std::fs::read_dir(folder.path().join(".uploads")).unwrap();
    assert_eq!(uploads.count(), 0);
    drop(store);
}

/// T-061: who has begun to read goes on to the end, whatever expires or is deleted meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn r_010_a_file_that_is_being_read_is_not_cut_off_by_its_deletion() {
    use futures::TryStreamExt;
    use sluice_ports::Blobs;
    let folder = tempfile::tempdir().unwrap();
    let stores: [Box<dyn Blobs>; 2] = [
        Box::new(DirectoryBlobs::open(folder.path()).unwrap()),
        Box::new(MemoryBlobs::default()),
    ];
    // More than is read ahead.
    let body = vec![7_u8; 8 << 20];
    for store in stores {
        store
            .create("test/long", body.clone().into())
            .await
            .unwrap();
        let mut reading = store.read("test/long", 0..8 << 20).await.unwrap();
        let mut read = reading.try_next().await.unwrap().unwrap().to_vec();
        store.delete(&["test/long".to_owned()]).await.unwrap();
        assert!(store.get("test/long").await.unwrap().is_none());
        while let Some(piece) = reading.try_next().await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, body);
    }
}

/// A command beside a server neither clears nor overwrites what the server has on its way.
#[tokio::test(flavor = "multi_thread")]
async fn directory_blobs_beside_another_process() {
    use sluice_ports::{Blobs, Creation};
    let folder = tempfile::tempdir().unwrap();
    let server = DirectoryBlobs::open(folder.path()).unwrap();
    let mut writer = server.start("test/long").await.unwrap();
    writer.write("one".into()).await.unwrap();
    for (number, seed) in [1, 2].into_iter().enumerate() {
        let entropy = SeededEntropy::new(seed);
        let beside = DirectoryBlobs::beside(folder.path(), &entropy).unwrap();
        let created = beside.create("test/short", "x".into()).await.unwrap();
        let expected = [Creation::Created, Creation::Exists][number];
        assert_eq!(created, expected);
    }
    writer.write("two".into()).await.unwrap();
    assert_eq!(writer.finish().await.unwrap(), Creation::Created);
    let whole = server.get("test/long").await.unwrap();
    assert_eq!(whole.unwrap(), "onetwo");
    let listed = server.list("", None, 10).await.unwrap();
    let keys: Vec<&str> = listed.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, ["test/long", "test/short"]);
    assert_eq!(server.folders("").await.unwrap(), ["test"]);
    let beside = DirectoryBlobs::beside(folder.path(), &SeededEntropy::new(3)).unwrap();
    conformance::blobs(&beside, "other/").await.unwrap();
    let left = std::fs::read_dir(folder.path().join(".beside")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn memory_blobs() {
    conformance::blobs(&MemoryBlobs::default(), "test/")
        .await
        .unwrap();
}

#[tokio::test]
async fn memory_index() {
    let clock = Arc::new(ManualClock::default());
    let index = MemoryIndex::new(clock.clone());
    let pass = |time: Duration| {
        clock.pass(time);
        futures::future::ready(()).boxed()
    };
    conformance::index(&index, &tenant(), &pass).await.unwrap();
}

#[tokio::test]
async fn memory_queue() {
    conformance::queue(&MemoryQueue::default(), &tenant())
        .await
        .unwrap();
}

fn lines(text: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn file_sink() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit/events.ndjson");
    let read = || {
        let text = std::fs::read(&path).unwrap_or_default();
        futures::future::ready(lines(&text)).boxed()
    };
    let sink = FileSink::new(&path);
    conformance::audit_sink(&sink, &read).await.unwrap();
}

/// In place of standard output, which a test shares with others.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Never much at once, as a pipe.
        let taken = bytes.len().min(1_000);
        self.0.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stdout_sink() {
    let output = Output::default();
    let read = || futures::future::ready(lines(&output.0.lock().unwrap())).boxed();
    let sink = StdoutSink::writing_to(output.clone());
    conformance::audit_sink(&sink, &read).await.unwrap();
}

#[tokio::test]
async fn keys_of_the_audit_are_fit_for_a_directory() {
    use sluice_ports::{Blobs, Clock};
    let folder = tempfile::tempdir().unwrap();
    let store = DirectoryBlobs::open(folder.path()).unwrap();
    let now = ManualClock::default().now();
    let later = now.plus(Duration::from_millis(1));
    let keys = [
        layout::audit_event(now, "00ff00ff00ff00ff"),
        layout::audit_event(later, "000000000000ffff"),
    ];
    for key in [&keys[1], &keys[0], &layout::audit_batch(now, "ab")] {
        let event = bytes::Bytes::from_static(b"{}");
        store.create(key, event).await.unwrap();
    }
    let listed = store.list(layout::audit_outbox(), None, 10).await.unwrap();
    let listed: Vec<String> = listed.into_iter().map(|info| info.key).collect();
    assert_eq!(listed, keys, "oldest first");
    let log = store.list(layout::audit_log(), None, 10).await.unwrap();
    assert_eq!(log.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_badly_behaved_queue_repeats_delays_and_loses_as_told() {
    let queue = MemoryQueue::with_habits(Habits {
        repeat_every: Some(2),
        late: Some((3, Duration::from_mins(1))),
        lose_every: Some(5),
    });
    let job = JobRef {
        tenant: tenant(),
        job: JobId::from_bytes([1; 16]),
    };
    for number in 1..=5 {
        let chunk = ChunkId::from_ordinal(number);
        queue
            .send(Hint::ExportChunk(job.clone(), chunk).into())
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..6 {
        let delivery = queue.receive(Lane::Chunks).await.unwrap();
        let Hint::ExportChunk(_, chunk) = delivery.hint().clone() else {
            continue;
        };
        seen.push(chunk.ordinal());
        delivery.settle(Settle::Ack).await.unwrap();
    }
    assert_eq!(seen, [1, 2, 2, 4, 4, 3], "5 is lost, 3 is overtaken");
}

#[tokio::test]
async fn keys_cannot_leave_the_directory() {
    use sluice_ports::Blobs;
    let folder = tempfile::tempdir().unwrap();
    let store = DirectoryBlobs::open(folder.path()).unwrap();
    for key in ["../x", "/x", "a//b", "a/../b", ".uploads/0", "a\\b", ""] {
        let refused = store.create(key, bytes::Bytes::new()).await;
        assert!(refused.is_err(), "{key}");
    }
}
