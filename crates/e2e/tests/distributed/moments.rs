//! When in an export something is to happen: a state of the bucket that is waited for, because a
//! time would be too early on one machine and too late on another.

use std::time::Duration;

use crate::site::Site;

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It is accepted; there may be no plan yet.
    Accepted,
    /// A chunk is committed, and others are not.
    Exporting,
}

/// Between two looks.
const STEP: Duration = Duration::from_millis(20);

/// Only so that a failing test ends.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until the first export of tenant `one` is so far, and fails when it is over already.
pub(crate) async fn reached(site: &Site, moment: Moment) {
    let waiting = async {
        while !is_reached(site, moment).await {
            tokio::time::sleep(STEP).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "{}: never {moment:?}", site.name);
    assert_unended(site).await;
}

async fn is_reached(site: &Site, moment: Moment) -> bool {
    match (job(site).await, moment) {
        (None, _) => false,
        (Some(_), Moment::Accepted) => true,
        (Some(job), Moment::Exporting) => {
            !site.objects(&format!("{job}/receipt/")).await.is_empty()
        }
    }
}

/// Fails when the export has its manifest: what follows would not be in the middle of it.
pub(crate) async fn assert_unended(site: &Site) {
    let job = job(site).await.unwrap();
    let manifest = site.objects(&format!("{job}/manifest.json")).await;
    assert!(manifest.is_empty(), "{}: {job} is over", site.name);
}

/// Waits until something holds.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(STEP).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "what is waited for does not come");
}

/// Where the first export of tenant `one` lies in the bucket.
pub(crate) async fn job(site: &Site) -> Option<String> {
    let found = site.objects("one/").await;
    let first = found.first()?;
    let (tenant, rest) = first.split_once('/')?;
    let (job, _) = rest.split_once('/')?;
    Some(format!("{tenant}/{job}"))
}
