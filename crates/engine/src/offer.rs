//! Step 4a. Offers what is exported already while the rest of the job runs, in pages of a manifest that
//! nothing changes once they are there.
//!
//! A page names the files of finished chunks that no page before it names. It is created at the number after
//! the last one, so of coordinators that are at it together one writes it, and the others go on from it. The
//! end of the pages is created in the same way: who finishes the job knows that none will follow.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use sluice_fhir::Issue;
use sluice_model::{
    Chunks, JobRecord, JobRef, ManifestFile, ManifestPage, Receipt, Version, layout,
};
use sluice_ports::{Creation, PortError};

use crate::assemble::write_outcomes;
use crate::{Journal, Ports};

/// The fewest chunks of a page.
const FEWEST: u32 = 4;

/// Chunks that a page after so many others must have: half of them, so that there are few pages however
/// large the job is.
fn enough(held: u32) -> u32 {
    held.div_ceil(2).max(FEWEST)
}

/// When it is worth looking at a job's receipts. Forgotten, they are looked at once too often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offers(Arc<Mutex<HashMap<JobRef, u32>>>);

impl Offers {
    /// Whether a job with so many chunks done may have enough of them for a page.
    pub(crate) fn is_due(&self, job: &JobRef, done: u32) -> bool {
        done >= self.locked().get(job).copied().unwrap_or(FEWEST)
    }

    /// No page can come before so many chunks are done.
    pub(crate) fn not_before(&self, job: &JobRef, done: u32) {
        self.locked().insert(job.clone(), done);
    }

    /// Forgets all other jobs.
    pub(crate) fn keep_only(&self, jobs: &[JobRef]) {
        self.locked().retain(|job, _| jobs.contains(job));
    }

    /// Forgets a job.
    pub(crate) fn forget(&self, job: &JobRef) {
        self.locked().remove(job);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<JobRef, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the next page if enough chunks are done; says how many more must be before it is worth asking
/// again. The first page waits for the sealed plan: what the source remarks is in its `error`.
pub(crate) async fn offer(
    ports: &Ports,
    journal: &Journal,
    record: &JobRecord,
) -> Result<u32, PortError> {
    let last = journal.last_manifest_page(&record.name).await?;
    if last.as_ref().is_some_and(|last| last.is_end) {
        return Ok(u32::MAX);
    }
    let held = last.as_ref().map(|last| last.held.clone());
    let held = held.unwrap_or_default();
    let needed = enough(held.len());
    let fresh = unnamed(journal, &record.name, &held).await?;
    let found = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
    if found < needed {
        return Ok(needed - found);
    }
    let (error, mine) = if let Some(last) = &last {
        (last.error.clone(), None)
    } else {
        let Some(error) = known_from_the_start(ports, journal, record).await? else {
            return Ok(FEWEST);
        };
        (error.iter().cloned().collect(), error)
    };
    let mut page = ManifestPage {
        held: held.with(fresh.iter().map(|receipt| receipt.chunk)),
        error,
        ..next(ports, record, last.as_ref())
    };
    for receipt in fresh {
        page.output.extend(receipt.files);
        page.deleted.extend(receipt.deleted);
    }
    let key = layout::manifest_page(&record.name, page.page);
    if journal.create(&key, &page).await? == Creation::Exists {
        if let Some(unused) = mine {
            let _goes_with_the_job = journal.delete(unused.key).await;
        }
        return Ok(0);
    }
    let files = page.output.len() + page.deleted.len();
    tracing::info!(job = %record.name, page = page.page, files, "files offered while the job runs");
    Ok(enough(page.held.len()))
}

/// Where the pages of a job end.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// How many there are.
    pub(crate) pages: u32,
    /// The chunks whose files they name.
    pub(crate) held: Chunks,
    /// The `error` files of each.
    pub(crate) error: Vec<ManifestFile>,
}

/// Ends the pages of a job that is about to be finished. Whoever does it again hears the same.
pub(crate) async fn end(
    ports: &Ports,
    journal: &Journal,
    record: &JobRecord,
) -> Result<Ended, PortError> {
    if !record.form.partial {
        return Ok(Ended::default());
    }
    loop {
        let last = journal.last_manifest_page(&record.name).await?;
        if let Some(end) = last.as_ref().filter(|last| last.is_end) {
            return Ok(Ended {
                pages: end.page.saturating_sub(1),
                held: end.held.clone(),
                error: end.error.clone(),
            });
        }
        let end = ManifestPage {
            held: last
                .as_ref()
                .map(|last| last.held.clone())
                .unwrap_or_default(),
            error: last
                .as_ref()
                .map(|last| last.error.clone())
                .unwrap_or_default(),
            is_end: true,
            ..next(ports, record, last.as_ref())
        };
        // If it exists another ended them here, or wrote one more page.
        let key = layout::manifest_page(&record.name, end.page);
        journal.create(&key, &end).await?;
    }
}

/// A page after another, with nothing on it.
fn next(ports: &Ports, record: &JobRecord, last: Option<&ManifestPage>) -> ManifestPage {
    ManifestPage {
        v: Version::SECOND,
        page: last.map_or(1, |last| last.page + 1),
        transaction_time: record.scope.snapshot.time,
        request: record.url.clone(),
        organized_by: record.form.organize,
        output: Vec::new(),
        deleted: Vec::new(),
        error: Vec::new(),
        held: Chunks::default(),
        offered_at: ports.clock.now(),
        is_end: false,
    }
}

/// The receipts of chunks with files that no page names, in plan order. What failed is told at the end.
async fn unnamed(
    journal: &Journal,
    job: &JobRef,
    held: &Chunks,
) -> Result<Vec<Receipt>, PortError> {
    let receipts = journal.receipts(job, |chunk| !held.contains(chunk));
    let with_files = receipts.try_filter(|receipt| ready(receipt.failure.is_none()));
    with_files.try_collect().await
}

/// What is known before anything is exported: what was ignored, and what the source remarks. `None` as long as
/// the plan is not sealed.
async fn known_from_the_start(
    ports: &Ports,
    journal: &Journal,
    record: &JobRecord,
) -> Result<Option<Option<ManifestFile>>, PortError> {
    let (_, sealed) = journal.plan(&record.name).await?;
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let remarks: Vec<&Issue> = record.ignored.iter().chain(&sealed.issues).collect();
    write_outcomes(ports, record, &remarks).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_few_however_large_a_job_is() {
        let (mut held, mut pages) = (0, 0);
        while held < 1_000_000 {
            held += enough(held);
            pages += 1;
        }
        assert!(pages <= 36, "{pages}");
    }
}
