//! The fast view changes once for each thing that happens, however often it is told.

use std::time::Duration;

use sluice_fhir::Instant;
use sluice_model::{JobId, JobRef, JobState, Tally, TenantId};

use super::Pass;
use crate::{Index, JobInside, JobStatus, Planned, PortError, Rate, Stale};

const STALE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(2);

/// Runs the suite on an index that holds nothing of `tenant`.
///
/// # Panics
///
/// When the index does not do what an index must.
pub async fn index(index: &dyn Index, tenant: &TenantId, pass: Pass<'_>) -> Result<(), PortError> {
    let job = |number: u8| JobRef {
        tenant: tenant.clone(),
        job: JobId::from_bytes([number; 16]),
    };
    jobs_are_inserted_once(index, &job(1)).await?;
    windows_hand_out_each_chunk_once(index, &job(2), pass).await?;
    chunks_are_done_once(index, &job(3)).await?;
    ended_jobs_stay_ended(index, &job(4)).await?;
    unknown_jobs_are_ignored(index, &job(5)).await?;
    leases_exclude_and_run_out(index, &format!("{tenant}/lease"), pass).await?;
    what_is_inside_can_be_looked_at(index, &job(9), pass).await?;
    names_are_claimed_once(index, (&job(6), &job(7)), pass).await?;
    a_name_is_used_once(index, &job(8), pass).await?;
    index.mark().await?;
    assert!(index.is_marked().await?);
    budgets_refill(index, &format!("{tenant}/budget"), pass).await
}

fn tally(resources: u64) -> Tally {
    Tally {
        resources,
        bytes: resources * 10,
    }
}

fn planned(chunks: u32, sealed: bool) -> Planned {
    Planned {
        chunks,
        expected: tally(u64::from(chunks)),
        sealed,
    }
}

async fn accepted(index: &dyn Index, job: &JobRef) -> Result<(), PortError> {
    let status = JobStatus::accepted(Instant::from_millis(1));
    assert!(index.insert(job, status).await?);
    Ok(())
}

async fn state(index: &dyn Index, job: &JobRef) -> Result<Option<JobState>, PortError> {
    Ok(index.get(job).await?.map(|status| status.state))
}

async fn jobs_are_inserted_once(index: &dyn Index, job: &JobRef) -> Result<(), PortError> {
    assert_eq!(index.get(job).await?, None);
    accepted(index, job).await?;
    let other = JobStatus::accepted(Instant::from_millis(2));
    assert!(!index.insert(job, other).await?);
    let found = index.get(job).await?;
    assert_eq!(found, Some(JobStatus::accepted(Instant::from_millis(1))));
    assert!(index.jobs().await?.contains(job));
    index.remove(job).await?;
    assert_eq!(index.get(job).await?, None);
    assert!(!index.jobs().await?.contains(job));
    Ok(())
}

async fn windows_hand_out_each_chunk_once(
    index: &dyn Index,
    job: &JobRef,
    pass: Pass<'_>,
) -> Result<(), PortError> {
    accepted(index, job).await?;
    assert!(index.take_window(job, 3, STALE.into()).await?.is_empty());
    index.planned(job, planned(4, false)).await?;
    assert_eq!(state(index, job).await?, Some(JobState::Accepted));
    assert_eq!(index.take_window(job, 3, STALE.into()).await?, [0, 1, 2]);
    let status = index.get(job).await?.unwrap_or_else(gone);
    assert_eq!(status.outstanding, 3);
    assert!(index.take_window(job, 3, STALE.into()).await?.is_empty());
    index.chunk_done(job, 1, tally(1)).await?;
    assert_eq!(index.take_window(job, 3, STALE.into()).await?, [3]);
    index.planned(job, planned(6, true)).await?;
    index.planned(job, planned(4, false)).await?;
    let status = index.get(job).await?.unwrap_or_else(gone);
    assert_eq!(status.planned, planned(6, true), "plans never shrink");
    assert_eq!(status.state, JobState::Exporting);
    pass(Duration::from_secs(3)).await;
    index.chunk_progress(job, 2, tally(5)).await?;
    let status = index.get(job).await?.unwrap_or_else(gone);
    assert_eq!(status.in_flight, tally(5));
    pass(Duration::from_secs(3)).await;
    assert_eq!(
        index.take_window(job, 3, STALE.into()).await?,
        [0, 3],
        "silent chunks are handed out again, the one with progress is not"
    );
    pass(Duration::from_secs(6)).await;
    let patient = Stale {
        silent: STALE,
        unbegun: STALE * 100,
    };
    assert_eq!(
        index.take_window(job, 3, patient).await?,
        [2],
        "what nobody began may wait longer than what fell silent"
    );
    Ok(())
}

async fn what_is_inside_can_be_looked_at(
    index: &dyn Index,
    job: &JobRef,
    pass: Pass<'_>,
) -> Result<(), PortError> {
    let inside = index.inside(job).await?;
    assert_eq!(inside, JobInside::default(), "of a job that is not known");
    accepted(index, job).await?;
    index.planned(job, planned(5, true)).await?;
    assert_eq!(index.take_window(job, 3, STALE.into()).await?, [0, 1, 2]);
    pass(Duration::from_secs(1)).await;
    index.chunk_progress(job, 1, tally(4)).await?;
    let inside = index.inside(job).await?;
    let shown = inside.handed_out.iter().map(|out| (out.chunk, out.begun));
    let shown: Vec<(u32, bool)> = shown.collect();
    assert_eq!(shown, [(0, false), (1, true), (2, false)]);
    let heard = |at: usize| inside.handed_out.get(at).map(|out| out.heard);
    assert_eq!(heard(0), heard(2), "handed out together");
    assert!(heard(0) < heard(1), "heard of later");
    for chunk in [2, 0, 2] {
        index.chunk_failed(job, chunk).await?;
        index.chunk_done(job, chunk, Tally::default()).await?;
    }
    let inside = index.inside(job).await?;
    assert_eq!((inside.failed, inside.handed_out.len()), (2, 1));
    index.remove(job).await?;
    accepted(index, job).await?;
    assert_eq!(index.inside(job).await?, JobInside::default());
    Ok(())
}

fn gone() -> JobStatus {
    JobStatus::accepted(Instant::from_millis(0))
}

async fn chunks_are_done_once(index: &dyn Index, job: &JobRef) -> Result<(), PortError> {
    accepted(index, job).await?;
    index.planned(job, planned(2, false)).await?;
    index.chunk_progress(job, 0, tally(3)).await?;
    let done = index.chunk_done(job, 0, tally(7)).await?;
    assert!(done.first && !done.settled);
    let again = index.chunk_done(job, 0, tally(7)).await?;
    assert!(!again.first);
    index.chunk_progress(job, 0, tally(9)).await?;
    let done = index.chunk_done(job, 1, tally(1)).await?;
    assert!(done.first && !done.settled, "an open plan is never settled");
    let status = index.get(job).await?.unwrap_or_else(gone);
    assert_eq!((status.done, status.tally), (2, tally(8)));
    assert_eq!(status.outstanding, 0);
    assert_eq!(status.in_flight, Tally::default());
    index.planned(job, planned(2, true)).await?;
    assert!(index.chunk_done(job, 1, tally(1)).await?.settled);
    Ok(())
}

async fn ended_jobs_stay_ended(index: &dyn Index, job: &JobRef) -> Result<(), PortError> {
    accepted(index, job).await?;
    let at = Instant::from_millis(5);
    assert!(
        !index.end(job, JobState::Complete, at).await?,
        "not before its plan"
    );
    index.planned(job, planned(1, true)).await?;
    assert!(index.end(job, JobState::Complete, at).await?);
    assert!(!index.end(job, JobState::Failed, at).await?);
    assert!(index.take_window(job, 3, STALE.into()).await?.is_empty());
    let status = index.get(job).await?.unwrap_or_else(gone);
    assert_eq!(
        (status.state, status.ended_at),
        (JobState::Complete, Some(at))
    );
    assert!(index.end(job, JobState::Cancelled, at).await?);
    assert!(!index.end(job, JobState::Cancelled, at).await?);
    Ok(())
}

async fn unknown_jobs_are_ignored(index: &dyn Index, job: &JobRef) -> Result<(), PortError> {
    index.planned(job, planned(1, true)).await?;
    index.chunk_progress(job, 0, tally(1)).await?;
    assert!(!index.chunk_done(job, 0, tally(1)).await?.first);
    assert!(index.take_window(job, 3, STALE.into()).await?.is_empty());
    let at = Instant::from_millis(5);
    assert!(!index.end(job, JobState::Cancelled, at).await?);
    index.remove(job).await?;
    assert_eq!(index.get(job).await?, None);
    Ok(())
}

async fn leases_exclude_and_run_out(
    index: &dyn Index,
    name: &str,
    pass: Pass<'_>,
) -> Result<(), PortError> {
    let first = index.lease(name, SHORT).await?;
    assert!(index.lease(name, SHORT).await?.is_none());
    let Some(first) = first else {
        return Err(PortError::new(
            crate::PortKind::Permanent,
            "taking a free lease",
        ));
    };
    pass(Duration::from_millis(1500)).await;
    assert!(index.renew(&first, SHORT).await?);
    pass(Duration::from_millis(1500)).await;
    assert!(index.lease(name, SHORT).await?.is_none(), "renewed");
    pass(Duration::from_secs(3)).await;
    let second = index.lease(name, SHORT).await?;
    let Some(second) = second else {
        return Err(PortError::new(
            crate::PortKind::Permanent,
            "taking a lease that ran out",
        ));
    };
    assert!(second.epoch > first.epoch);
    assert!(!index.renew(&first, SHORT).await?, "it has passed on");
    index.release(&first).await?;
    assert!(
        index.lease(name, SHORT).await?.is_none(),
        "released by a stranger"
    );
    index.release(&second).await?;
    assert!(index.lease(name, SHORT).await?.is_some());
    Ok(())
}

/// G3 of the fault matrix.
async fn a_name_is_used_once(
    index: &dyn Index,
    job: &JobRef,
    pass: Pass<'_>,
) -> Result<(), PortError> {
    let name = format!("{}/use", job.tenant);
    let asking = ["a", "b", "c", "d", "e", "f"].map(|by| index.first_use(&name, by, SHORT));
    let heard = futures::future::try_join_all(asking).await?;
    assert_eq!(
        heard.iter().filter(|first| **first).count(),
        1,
        "one of all who ask at once"
    );
    let winner = heard.iter().position(|first| *first).unwrap_or_default();
    let by = ["a", "b", "c", "d", "e", "f"][winner];
    assert!(
        index.first_use(&name, by, SHORT).await?,
        "asked again, it hears the same"
    );
    assert!(!index.first_use(&name, "z", SHORT).await?);
    pass(SHORT).await;
    assert!(
        index.first_use(&name, "z", SHORT).await?,
        "forgotten after its time"
    );
    Ok(())
}

async fn names_are_claimed_once(
    index: &dyn Index,
    (one, two): (&JobRef, &JobRef),
    pass: Pass<'_>,
) -> Result<(), PortError> {
    let name = format!("{}/claim", one.tenant);
    assert_eq!(index.claim(&name, one, SHORT).await?, None);
    assert_eq!(index.claim(&name, one, SHORT).await?, None, "it has it");
    assert_eq!(index.claim(&name, two, SHORT).await?.as_ref(), Some(one));
    index.unclaim(&name, two).await?;
    assert_eq!(index.claim(&name, two, SHORT).await?.as_ref(), Some(one));
    index.unclaim(&name, one).await?;
    assert_eq!(index.claim(&name, two, SHORT).await?, None);
    pass(Duration::from_millis(1500)).await;
    assert_eq!(index.claim(&name, two, SHORT).await?, None);
    pass(Duration::from_millis(1500)).await;
    assert_eq!(index.claim(&name, one, SHORT).await?.as_ref(), Some(two));
    pass(Duration::from_secs(3)).await;
    assert_eq!(index.claim(&name, one, SHORT).await?, None, "it ran out");
    Ok(())
}

async fn budgets_refill(index: &dyn Index, name: &str, pass: Pass<'_>) -> Result<(), PortError> {
    let rate = Rate {
        burst: 3,
        every: Duration::from_secs(10),
    };
    for _ in 0..3 {
        assert_eq!(index.spend(name, rate).await?, None);
    }
    let Some(wait) = index.spend(name, rate).await? else {
        return Err(PortError::new(
            crate::PortKind::Permanent,
            "refusing a spent budget",
        ));
    };
    assert!(wait <= rate.every && wait > Duration::ZERO);
    assert_eq!(index.spend(&format!("{name}/other"), rate).await?, None);
    pass(wait).await;
    assert_eq!(
        index.spend(name, rate).await?,
        None,
        "waiting as told is enough"
    );
    assert!(index.spend(name, rate).await?.is_some());
    let quicker = Rate {
        every: Duration::from_millis(100),
        ..rate
    };
    let wait = index.spend(name, quicker).await?;
    assert!(
        wait.is_none_or(|wait| wait <= quicker.every),
        "a debt shrinks with its rate: {wait:?}"
    );
    Ok(())
}
