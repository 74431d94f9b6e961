//! Claims, leases and budgets under many hands.

use std::time::Duration;

use futures::future::join_all;
use sluice_model::JobId;
use sluice_ports::{Index, Rate};

use crate::shared::{LONG, job, on_shared};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_jobs_one_claims_a_name() {
    on_shared("claims", |place| async move {
        let calls = (0..100).map(|number| {
            let index = place.index.clone();
            tokio::spawn(async move { index.claim("x", &job(number), LONG).await.unwrap() })
        });
        let answers: Vec<_> = join_all(calls)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(answers.iter().filter(|holder| holder.is_none()).count(), 1);
        let winner = answers.iter().position(Option::is_none).unwrap();
        let winner = JobId::from_bytes([u8::try_from(winner).unwrap(); 16]);
        assert!(answers.iter().flatten().all(|holder| holder.job == winner));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_processes_one_holds_a_lease() {
    on_shared("leases", |place| async move {
        let mut last = 0;
        for _ in 0..3 {
            let calls = (0..100).map(|_| {
                let index = place.index.clone();
                tokio::spawn(async move { index.lease("job/x", LONG).await.unwrap() })
            });
            let answers = join_all(calls).await;
            let held: Vec<_> = answers.into_iter().filter_map(Result::unwrap).collect();
            assert_eq!(held.len(), 1);
            assert!(held[0].epoch > last);
            last = held[0].epoch;
            place.index.release(&held[0]).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn only_its_holder_prolongs_a_claim() {
    on_shared("claim-life", |place| async move {
        let (index, short) = (&place.index, Duration::from_secs(2));
        assert_eq!(index.claim("x", &job(1), short).await.unwrap(), None);
        let holder = index.claim("x", &job(2), LONG).await.unwrap();
        assert_eq!(holder, Some(job(1)));
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(index.claim("x", &job(2), short).await.unwrap(), None);
        assert_eq!(index.claim("x", &job(2), LONG).await.unwrap(), None);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let holder = index.claim("x", &job(1), LONG).await.unwrap();
        assert_eq!(holder, Some(job(2)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_never_overspent() {
    on_shared("budget", |place| async move {
        let rate = Rate {
            burst: 7,
            every: LONG,
        };
        let calls = (0..50).map(|_| {
            let index = place.index.clone();
            tokio::spawn(async move { index.spend("x", rate).await.unwrap() })
        });
        let answers: Vec<_> = join_all(calls)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(answers.iter().filter(|wait| wait.is_none()).count(), 7);
        assert!(
            answers
                .iter()
                .flatten()
                .all(|wait| *wait <= LONG && !wait.is_zero())
        );
        // A rate too small to tell apart from none still ends, and so does one without end.
        let odd = |burst, every| Rate { burst, every };
        for rate in [odd(0, Duration::ZERO), odd(u32::MAX, Duration::MAX)] {
            assert_eq!(
                place.index.spend(&format!("{rate:?}"), rate).await.unwrap(),
                None
            );
        }
    })
    .await;
}
