//! Step 2. Cuts a job into chunks, page by page, and seals the plan.
//!
//! A page holds the cursor from which the next is planned, so planning goes on where a crash left
//! it, and planning twice writes the same pages.

use sluice_model::{CHUNKS_PER_PAGE, JobRecord, JobRef, PlanPage, Sealed, Tally, Version, layout};
use sluice_ports::{Creation, Planned, PortError};

use crate::parts::{is_plain, parts, step};
use crate::{Journal, Tenant};

/// The plan of a job as far as there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    planned: Planned,
    barriers: Vec<u32>,
}

impl Plan {
    /// Whether nothing will be added.
    pub(crate) fn is_sealed(&self) -> bool {
        self.planned.sealed
    }

    /// The chunks that may begin once so many of the first have ended: all before the first barrier that is
    /// not reached. More than may begin are not told to the index, which hands out what it knows.
    pub(crate) fn due(&self, ended: u32) -> Planned {
        let mut closed = self.barriers.iter().copied();
        match closed.find(|barrier| *barrier > ended) {
            Some(barrier) if barrier < self.planned.chunks => Planned {
                chunks: barrier,
                sealed: false,
                ..self.planned
            },
            _ => self.planned,
        }
    }

    /// How many of the first chunks have all ended, if that matters: what waits for them reads their receipts, so the
    /// journal is counted and not the index.
    pub(crate) async fn ended(&self, journal: &Journal, job: &JobRef) -> Result<u32, PortError> {
        if self.barriers.is_empty() {
            return Ok(0);
        }
        journal.ended_in_a_row(job).await
    }

    /// As the journal has it.
    pub(crate) fn of(last: Option<&PlanPage>, sealed: Option<&Sealed>) -> Self {
        match (sealed, last) {
            (Some(sealed), _) => Self {
                planned: Planned {
                    chunks: sealed.chunks,
                    expected: sealed.expected,
                    sealed: true,
                },
                barriers: sealed.barriers.clone(),
            },
            (None, Some(last)) => Self {
                planned: Planned {
                    chunks: last.chunks_so_far(),
                    expected: last.expected_so_far,
                    sealed: false,
                },
                barriers: last.barriers.clone(),
            },
            (None, None) => Self::default(),
        }
    }
}

/// One step of planning: what is planned after it, and the page that it wrote, if it was first to. Whoever knows the
/// last page already says so.
pub(crate) async fn plan_page(
    journal: &Journal,
    record: &JobRecord,
    tenant: &Tenant,
    known: Option<PlanPage>,
) -> Result<(Plan, Option<PlanPage>), PortError> {
    let job = &record.name;
    let (last, sealed) = match known {
        Some(last) => (Some(last), None),
        None => journal.plan(job).await?,
    };
    if let Some(sealed) = sealed {
        return Ok((Plan::of(None, Some(&sealed)), None));
    }
    if let Some(last) = last.as_ref().filter(|last| last.next.is_none()) {
        let plan = seal(journal, record, tenant, Some(last)).await?;
        return Ok((plan, None));
    }
    let cursor = last.as_ref().and_then(|last| last.next.as_deref());
    let limit = usize::try_from(CHUNKS_PER_PAGE).unwrap_or(64);
    let parts = parts(record, tenant.policy.chunk_bytes);
    let step = step(&*tenant.source, (journal, job), &parts, limit, cursor);
    let step = Box::pin(step).await?;
    let (chunks, next) = (step.planned.chunks, step.planned.next);
    if chunks.is_empty() && next.is_none() {
        let plan = seal(journal, record, tenant, last.as_ref()).await?;
        return Ok((plan, None));
    }
    let mut expected_so_far = last
        .as_ref()
        .map_or(Tally::default(), |last| last.expected_so_far);
    for chunk in &chunks {
        expected_so_far += chunk.expected;
    }
    let page = PlanPage {
        v: Version::lowest(is_plain(&parts)),
        page: last.map_or(1, |last| last.page + 1),
        chunks,
        next,
        expected_so_far,
        barriers: step.barriers,
    };
    // Exists means that another coordinator wrote the same page; then what it wrote is read.
    let key = layout::plan_page(job, page.page);
    let created = journal.create(&key, &page).await?;
    if page.next.is_none() {
        let plan = seal(journal, record, tenant, Some(&page)).await?;
        return Ok((plan, None));
    }
    let plan = Plan::of(Some(&page), None);
    Ok((plan, (created == Creation::Created).then_some(page)))
}

async fn seal(
    journal: &Journal,
    record: &JobRecord,
    tenant: &Tenant,
    last: Option<&PlanPage>,
) -> Result<Plan, PortError> {
    let barriers = last.map_or(Vec::new(), |page| page.barriers.clone());
    let sealed = Sealed {
        v: Version::lowest(barriers.is_empty()),
        pages: last.map_or(0, |page| page.page),
        chunks: last.map_or(0, PlanPage::chunks_so_far),
        expected: last.map_or(Tally::default(), |page| page.expected_so_far),
        barriers,
        issues: tenant.source.remarks(&record.scope).await?,
    };
    let key = layout::sealed(&record.name);
    if journal.create(&key, &sealed).await? == Creation::Created {
        tracing::info!(job = %record.name, chunks = sealed.chunks, bytes = sealed.expected.bytes, "plan sealed");
    }
    Ok(Plan::of(None, Some(&sealed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_due_when_all_before_it_have_ended() {
        let plan = |sealed| Plan {
            planned: Planned {
                chunks: 10,
                expected: Tally::default(),
                sealed,
            },
            barriers: vec![4, 7],
        };
        for (ended, chunks, all) in [
            (0, 4, false),
            (3, 4, false),
            (4, 7, false),
            (6, 7, false),
            (7, 10, true),
        ] {
            let due = plan(true).due(ended);
            assert_eq!((due.chunks, due.sealed), (chunks, all), "{ended}");
            assert!(!plan(false).due(ended).sealed);
        }
        // Nothing comes behind it.
        let plan = Plan {
            barriers: vec![4, 10],
            ..plan(true)
        };
        assert!(plan.due(4).sealed);
    }
}
