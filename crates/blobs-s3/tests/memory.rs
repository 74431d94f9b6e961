//! A large object passes through a small memory. Alone in its process, so the peak is its own.

use bytes::Bytes;
use sluice_blobs_s3::{LEAST_PART_BYTES, S3Blobs, S3Credentials, S3Options};
use sluice_ports::{Blobs, Creation};
use sluice_testkit::stack;

const MIB: u64 = 1 << 20;

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[tokio::test]
async fn a_writer_holds_no_more_than_its_parts() {
    let bucket = stack("SLUICE_PORTS__BLOBS").replace("s3://", "");
    let options = S3Options {
        prefix: format!("test-memory-{}", std::process::id()),
        endpoint: Some(stack("SLUICE_S3__ENDPOINT")),
        path_style: true,
        credentials: S3Credentials::Static {
            access_key_id: stack("SLUICE_S3__ACCESS_KEY_ID"),
            secret_access_key: stack("SLUICE_S3__SECRET_ACCESS_KEY"),
            session_token: None,
        },
        part_bytes: LEAST_PART_BYTES,
        parts_in_flight: 2,
        ..S3Options::new(bucket, stack("SLUICE_S3__REGION"))
    };
    let store = S3Blobs::connect(options).await.unwrap();
    let mut writer = store.start("large.ndjson").await.unwrap();
    let before = peak_mib();
    for piece in 0..1600_u32 {
        let body = vec![piece.to_le_bytes()[0]; 64 << 10];
        writer.write(Bytes::from(body)).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), Creation::Created);
    let after = peak_mib();
    println!("peak of the process: {before} MiB before, {after} MiB after writing 100 MiB");
    assert!(after - before < 64, "three parts are 15 MiB");
    let found = store.head("large.ndjson").await.unwrap().unwrap();
    assert_eq!(found.size, 100 * MIB);
    store.delete(&["large.ndjson".to_owned()]).await.unwrap();
}
