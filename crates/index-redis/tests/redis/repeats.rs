//! E5: a call made again because its reply was lost changes nothing more.

use sluice_fhir::Instant;
use sluice_model::JobState;
use sluice_ports::{Index, JobStatus, Rate};

use crate::shared::{LONG, job, on_shared, planned, status, tally};

#[tokio::test]
async fn every_job_operation_may_be_repeated() {
    on_shared("repeats", |place| async move {
        let index = &place.index;
        let job = job(1);
        let accepted = JobStatus::accepted(Instant::from_millis(1));
        assert!(index.insert(&job, accepted.clone()).await.unwrap());
        let before = status(index, &job).await;
        assert!(!index.insert(&job, accepted).await.unwrap());
        assert_eq!(status(index, &job).await, before);

        index.planned(&job, planned(4, true)).await.unwrap();
        let before = status(index, &job).await;
        index.planned(&job, planned(4, true)).await.unwrap();
        assert_eq!(status(index, &job).await, before);

        assert_eq!(
            index.take_window(&job, 2, LONG.into()).await.unwrap(),
            [0, 1]
        );
        let before = status(index, &job).await;
        assert!(
            index
                .take_window(&job, 2, LONG.into())
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(status(index, &job).await, before);

        index.chunk_progress(&job, 0, tally(3)).await.unwrap();
        let before = status(index, &job).await;
        index.chunk_progress(&job, 0, tally(3)).await.unwrap();
        assert_eq!(status(index, &job).await, before);

        assert!(index.chunk_done(&job, 0, tally(5)).await.unwrap().first);
        let before = status(index, &job).await;
        assert!(!index.chunk_done(&job, 0, tally(5)).await.unwrap().first);
        assert_eq!(status(index, &job).await, before);

        let at = Instant::from_millis(7);
        assert!(index.end(&job, JobState::Failed, at).await.unwrap());
        let before = status(index, &job).await;
        let later = Instant::from_millis(8);
        assert!(!index.end(&job, JobState::Failed, later).await.unwrap());
        assert_eq!(status(index, &job).await, before);

        index.remove(&job).await.unwrap();
        index.remove(&job).await.unwrap();
        assert_eq!(index.get(&job).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn every_hold_may_be_repeated() {
    on_shared("repeat-holds", |place| async move {
        let index = &place.index;
        let lease = index.lease("x", LONG).await.unwrap().unwrap();
        assert_eq!(index.lease("x", LONG).await.unwrap(), None);
        assert!(index.renew(&lease, LONG).await.unwrap());
        assert!(index.renew(&lease, LONG).await.unwrap());
        index.release(&lease).await.unwrap();
        index.release(&lease).await.unwrap();
        assert!(!index.renew(&lease, LONG).await.unwrap());

        for _ in 0..2 {
            assert_eq!(index.claim("x", &job(1), LONG).await.unwrap(), None);
        }
        for _ in 0..2 {
            index.unclaim("x", &job(1)).await.unwrap();
        }
        for _ in 0..2 {
            index.mark().await.unwrap();
            assert!(index.is_marked().await.unwrap());
        }
        let rate = Rate {
            burst: 1,
            every: LONG,
        };
        assert_eq!(index.spend("x", rate).await.unwrap(), None);
        for _ in 0..2 {
            let wait = index.spend("x", rate).await.unwrap().unwrap();
            assert!(wait <= LONG, "a refusal costs nothing");
        }
    })
    .await;
}
