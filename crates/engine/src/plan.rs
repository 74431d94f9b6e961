//! Step 2. Cuts a job into chunks, page by page, and seals the plan.
//!
//! A page holds the cursor from which the next is planned, so planning goes on where a crash left
//! it, and planning twice writes the same pages.

use sluice_model::{CHUNKS_PER_PAGE, JobRecord, PlanPage, Sealed, Tally, Version, layout};
use sluice_ports::{Creation, Planned, PortError};

use crate::{Journal, Tenant};

/// One step of planning: what is planned after it.
pub(crate) async fn plan_page(
    journal: &Journal,
    record: &JobRecord,
    tenant: &Tenant,
) -> Result<Planned, PortError> {
    let job = &record.name;
    let (last, sealed) = journal.plan(job).await?;
    if let Some(sealed) = sealed {
        return Ok(planned_by(&sealed));
    }
    if let Some(last) = last.as_ref().filter(|last| last.next.is_none()) {
        return seal(journal, record, tenant, Some(last)).await;
    }
    let cursor = last.as_ref().and_then(|last| last.next.as_deref());
    let limit = usize::try_from(CHUNKS_PER_PAGE).unwrap_or(64);
    let target = record.form.chunk_bytes(tenant.policy.chunk_bytes);
    let step = tenant
        .source
        .plan(&record.scope, target, limit, cursor)
        .await?;
    if step.chunks.is_empty() && step.next.is_none() {
        return seal(journal, record, tenant, last.as_ref()).await;
    }
    let mut expected_so_far = last
        .as_ref()
        .map_or(Tally::default(), |last| last.expected_so_far);
    for chunk in &step.chunks {
        expected_so_far += chunk.expected;
    }
    let page = PlanPage {
        v: Version::default(),
        page: last.map_or(1, |last| last.page + 1),
        chunks: step.chunks,
        next: step.next,
        expected_so_far,
    };
    // Exists means that another coordinator wrote the same page.
    journal
        .create(&layout::plan_page(job, page.page), &page)
        .await?;
    if page.next.is_none() {
        return seal(journal, record, tenant, Some(&page)).await;
    }
    Ok(Planned {
        chunks: page.chunks_so_far(),
        expected: page.expected_so_far,
        sealed: false,
    })
}

async fn seal(
    journal: &Journal,
    record: &JobRecord,
    tenant: &Tenant,
    last: Option<&PlanPage>,
) -> Result<Planned, PortError> {
    let sealed = Sealed {
        v: Version::default(),
        pages: last.map_or(0, |page| page.page),
        chunks: last.map_or(0, PlanPage::chunks_so_far),
        expected: last.map_or(Tally::default(), |page| page.expected_so_far),
        issues: tenant.source.remarks(&record.scope).await?,
    };
    let key = layout::sealed(&record.name);
    if journal.create(&key, &sealed).await? == Creation::Created {
        tracing::info!(job = %record.name, chunks = sealed.chunks, bytes = sealed.expected.bytes, "plan sealed");
    }
    Ok(planned_by(&sealed))
}

/// What a sealed plan amounts to.
pub(crate) fn planned_by(sealed: &Sealed) -> Planned {
    Planned {
        chunks: sealed.chunks,
        expected: sealed.expected,
        sealed: true,
    }
}
