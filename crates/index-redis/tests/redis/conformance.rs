//! The suite of the port, and the keys it leaves.

use std::time::Duration;

use futures::FutureExt;
use redis::AsyncCommands;
use sluice_fhir::Instant;
use sluice_ports::{Index, JobStatus, conformance};

use crate::shared::{LONG, exporting, job, keys, on_shared};

const MOMENT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn the_suite_passes() {
    on_shared("suite", |place| async move {
        // Redis counts whole milliseconds, and forgets in the one after.
        let pass = |time: Duration| tokio::time::sleep(time + MOMENT).boxed();
        let tenant = "suite".parse().unwrap();
        conformance::index(&*place.index, &tenant, &pass)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn everything_of_a_job_runs_out_and_goes_with_it() {
    on_shared("keys", |mut place| async move {
        let index = &place.index;
        exporting(index, &job(1), 9).await;
        index.take_window(&job(1), 2, LONG.into()).await.unwrap();
        let tally = crate::shared::tally(1);
        index.chunk_progress(&job(1), 0, tally).await.unwrap();
        index.chunk_done(&job(1), 1, tally).await.unwrap();
        let prefix = format!("{}:{{{}}}", place.prefix, job(1));
        let kept = keys(&mut place.admin, &prefix).await;
        assert_eq!(kept.len(), 4, "{kept:?}");
        for key in kept {
            let life: i64 = place.admin.ttl(&key).await.unwrap();
            assert!(life > 86_400, "{key} lives {life} s");
        }
        index.remove(&job(1)).await.unwrap();
        assert_eq!(keys(&mut place.admin, &prefix).await, [] as [String; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_an_expired_job_left_does_not_count_for_a_new_one() {
    on_shared("leftover", |mut place| async move {
        let index = &place.index;
        exporting(index, &job(1), 2).await;
        index.take_window(&job(1), 1, LONG.into()).await.unwrap();
        let tally = crate::shared::tally(1);
        index.chunk_progress(&job(1), 1, tally).await.unwrap();
        index.chunk_done(&job(1), 0, tally).await.unwrap();
        let status = format!("{}:{{{}}}:status", place.prefix, job(1));
        let _: () = place.admin.del(status).await.unwrap();
        assert_eq!(index.get(&job(1)).await.unwrap(), None);
        assert_eq!(index.jobs().await.unwrap(), []);
        let accepted = JobStatus::accepted(Instant::from_millis(9));
        assert!(index.insert(&job(1), accepted.clone()).await.unwrap());
        assert_eq!(index.get(&job(1)).await.unwrap(), Some(accepted));
    })
    .await;
}

#[tokio::test]
async fn many_jobs_are_listed_and_old_leftovers_are_dropped() {
    on_shared("list", |mut place| async move {
        let index = &place.index;
        let mut expected = Vec::new();
        for number in 0..=255 {
            let mut job = job(number);
            for tenant in ["east", "west", "south"] {
                job.tenant = tenant.parse().unwrap();
                let accepted = JobStatus::accepted(Instant::from_millis(1));
                index.insert(&job, accepted).await.unwrap();
                expected.push(job.clone());
            }
        }
        let list = format!("{}:jobs", place.prefix);
        // One listed long ago and gone, one being inserted now, one that nobody can read.
        let (old, new) = (job(1).to_string(), job(2).to_string());
        let now: i64 = 1 << 52;
        for (name, score) in [(&old, 1), (&new, now), (&"?".to_owned(), 1)] {
            let _: () = place.admin.zadd(&list, name, score).await.unwrap();
        }
        expected.sort();
        assert_eq!(index.jobs().await.unwrap(), expected);
        let left: [Option<f64>; 3] = place
            .admin
            .zscore_multiple(&list, &[&old, &new, "?"])
            .await
            .unwrap();
        let is_left = left.map(|score| score.is_some());
        assert_eq!(is_left, [false, true, false]);
    })
    .await;
}

#[tokio::test]
async fn keys_of_the_wrong_type_are_a_lasting_error() {
    on_shared("type", |mut place| async move {
        let status = format!("{}:{{{}}}:status", place.prefix, job(1));
        let _: () = place.admin.set(status, "no hash").await.unwrap();
        let error = place.index.get(&job(1)).await.unwrap_err();
        assert!(!error.is_transient());
        let told = error.chain();
        assert!(
            told.starts_with("looking a job up in redis: ") && told.contains("WRONGTYPE"),
            "{told}"
        );
        let (job, tally) = (job(1), crate::shared::tally(1));
        let far = place.index.chunk_done(&job, u32::MAX, tally);
        assert!(!far.await.unwrap_err().is_transient());
    })
    .await;
}
