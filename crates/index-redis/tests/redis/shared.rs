//! A place of one's own on the shared server, and what most tests say.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use sluice_fhir::Instant;
use sluice_index_redis::{RedisIndex, RedisOptions};
use sluice_model::{JobId, JobRef, Tally};
use sluice_ports::{Index, JobStatus, Planned};

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_hours(1);

/// What a test gets.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) index: Arc<RedisIndex>,
    pub(crate) admin: MultiplexedConnection,
    pub(crate) prefix: String,
}

/// Runs a test under a prefix of its own and removes its keys, also when it fails.
pub(crate) async fn on_shared<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Place) -> F) {
    let url = sluice_testkit::stack("SLUICE_PORTS__INDEX");
    let prefix = format!("test-{name}-{}", std::process::id());
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let mut options = RedisOptions::new(url);
    options.prefix.clone_from(&prefix);
    options.response_timeout = Duration::from_secs(20);
    let index = Arc::new(RedisIndex::connect(options).await.unwrap());
    let place = Place {
        index,
        admin: admin.clone(),
        prefix: prefix.clone(),
    };
    let result = AssertUnwindSafe(test(place)).catch_unwind().await;
    for key in keys(&mut admin, &prefix).await {
        let _: () = admin.unlink(key).await.unwrap();
    }
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Every key that begins so.
pub(crate) async fn keys(admin: &mut MultiplexedConnection, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*"));
        scan.arg("COUNT").arg(1000);
        let (next, page): (u64, Vec<String>) = scan.query_async(admin).await.unwrap();
        found.extend(page);
        cursor = next;
        if cursor == 0 {
            return found;
        }
    }
}

pub(crate) fn job(number: u8) -> JobRef {
    JobRef {
        tenant: "north".parse().unwrap(),
        job: JobId::from_bytes([number; 16]),
    }
}

pub(crate) fn tally(resources: u64) -> Tally {
    Tally {
        resources,
        bytes: resources * 10,
    }
}

pub(crate) fn planned(chunks: u32, sealed: bool) -> Planned {
    Planned {
        chunks,
        expected: tally(u64::from(chunks)),
        sealed,
    }
}

/// A job with a sealed plan.
pub(crate) async fn exporting(index: &RedisIndex, job: &JobRef, chunks: u32) {
    let accepted = JobStatus::accepted(Instant::from_millis(1));
    assert!(index.insert(job, accepted).await.unwrap());
    index.planned(job, planned(chunks, true)).await.unwrap();
}

pub(crate) async fn status(index: &RedisIndex, job: &JobRef) -> JobStatus {
    index.get(job).await.unwrap().unwrap()
}
