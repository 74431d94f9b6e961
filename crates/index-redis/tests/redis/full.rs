//! E7, E11: a server that is full or set up badly.

use sluice_fhir::Instant;
use sluice_index_redis::Severity;
use sluice_model::JobState;
use sluice_ports::{Index, JobStatus, PortError, Rate};

use crate::server::Server;
use crate::shared::{LONG, exporting, job, planned, tally};

fn is_refused<T>(result: Result<T, PortError>) -> bool {
    result.is_err_and(|error| error.is_transient() && error.chain().contains("OOM"))
}

#[tokio::test]
async fn a_full_redis_takes_no_new_job_and_completes_running_ones() {
    let server = Server::start(&[]);
    let index = server.index().await;
    exporting(&index, &job(1), 2).await;
    server.tell("CONFIG SET maxmemory 100kb").await;

    let accepted = JobStatus::accepted(Instant::from_millis(1));
    assert!(is_refused(index.insert(&job(2), accepted).await));
    assert!(is_refused(index.claim("x", &job(2), LONG).await));
    let rate = Rate {
        burst: 1,
        every: LONG,
    };
    assert!(is_refused(index.spend("x", rate).await));
    assert_eq!(index.jobs().await.unwrap(), [job(1)]);

    let lease = index.lease("job", LONG).await.unwrap().unwrap();
    index.planned(&job(1), planned(3, true)).await.unwrap();
    let taken = index.take_window(&job(1), 3, LONG.into()).await.unwrap();
    for chunk in taken {
        index
            .chunk_progress(&job(1), chunk, tally(1))
            .await
            .unwrap();
        index.chunk_done(&job(1), chunk, tally(1)).await.unwrap();
    }
    let status = index.get(&job(1)).await.unwrap().unwrap();
    assert!(status.is_settled());
    let at = Instant::from_millis(2);
    assert!(index.end(&job(1), JobState::Complete, at).await.unwrap());
    assert!(index.renew(&lease, LONG).await.unwrap());
    index.release(&lease).await.unwrap();
    index.remove(&job(1)).await.unwrap();

    server.tell("CONFIG SET maxmemory 0").await;
    exporting(&index, &job(2), 1).await;
}

#[tokio::test]
async fn a_bad_setup_is_found_at_start() {
    let server = Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let index = server.index().await;
    let (seconds, _): (i64, i64) = redis::cmd("TIME")
        .query_async(&mut server.admin().await)
        .await
        .unwrap();
    let now = Instant::from_millis(seconds * 1000);
    let found = index.probe(now).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].severity, Severity::Refuse);
    assert!(found[0].text.contains("set it to noeviction"));

    server.tell("CONFIG SET maxmemory-policy noeviction").await;
    assert_eq!(index.probe(now).await.unwrap(), []);

    server.tell("CONFIG SET appendonly no").await;
    let past = Instant::from_millis((seconds - 3600) * 1000);
    let found = index.probe(past).await.unwrap();
    let texts: Vec<_> = found.iter().map(|finding| &finding.text).collect();
    assert_eq!(found.len(), 2, "{texts:?}");
    assert!(texts[0].contains("appendonly") && texts[1].contains("ahead"));
    assert!(found.iter().all(|f| f.severity == Severity::Warning));

    server.tell("ACL SETUSER default -info").await;
    let found = index.probe(now).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].text.contains("INFO is forbidden"), "{found:?}");
}
