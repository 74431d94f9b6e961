//! Removes what is no longer wanted: ended jobs after their retention, and the objects of
//! withdrawn ones.

use std::time::Duration;

use sluice_model::{JobRef, TombstoneReason, layout};
use sluice_ports::{JobStatus, PortError};

use crate::audit::write_down;
use crate::{AuditAction, AuditEntry, AuditOutcome, Cancel, Journal, Policy, Ports};

/// Withdraws an ended job once its files have outlived what its manifest promised.
pub(crate) async fn expire_if_due(
    ports: &Ports,
    journal: &Journal,
    (job, status): (&JobRef, &JobStatus),
    policy: &Policy,
) -> Result<(), PortError> {
    let now = ports.clock.now();
    let ended = status.ended_at.unwrap_or(status.accepted_at);
    if now < ended.plus(policy.retention) {
        return Ok(());
    }
    let promised = journal
        .manifest(job)
        .await?
        .map(|manifest| manifest.expires_at);
    if promised.is_none_or(|promised| now >= promised) {
        write_expiry_down(ports, journal, job).await?;
        Cancel::new(ports)
            .withdraw(job, TombstoneReason::Expired)
            .await?;
    }
    Ok(())
}

/// A job that is gone already, or withdrawn, does not expire. One that two coordinators look at may
/// be told of twice.
async fn write_expiry_down(
    ports: &Ports,
    journal: &Journal,
    job: &JobRef,
) -> Result<(), PortError> {
    let Some(record) = journal.job(job).await? else {
        return Ok(());
    };
    if journal.tombstone(job).await?.is_some() {
        return Ok(());
    }
    let expired = AuditEntry {
        job: Some(job.clone()),
        level: Some(record.scope.level),
        details: record
            .client
            .map(|client| ("client", client))
            .into_iter()
            .collect(),
        ..AuditEntry::new(&job.tenant, AuditAction::Expired, AuditOutcome::Success)
    };
    write_down(ports, &expired).await
}

/// Removes a withdrawn job's objects: the manifest first, with its pages, so that nobody is promised what is
/// going. `job.json` and the tombstone stay for `keep`, longer than any worker can still be
/// writing, and then everything goes, they last.
pub(crate) async fn purge(
    ports: &Ports,
    journal: &Journal,
    job: &JobRef,
    keep: Duration,
) -> Result<(), PortError> {
    let tombstone = journal.tombstone(job).await?;
    let is_over = tombstone
        .as_ref()
        .is_none_or(|tombstone| ports.clock.now() >= tombstone.at.plus(keep));
    if !is_over {
        return purge_once(ports, journal, job, keep).await;
    }
    remove_objects(journal, job).await?;
    journal.delete(layout::job_record(job)).await?;
    journal.delete(layout::cancel(job)).await?;
    ports.index.remove(job).await?;
    tracing::info!(%job, "job removed");
    Ok(())
}

/// Removes the objects now; what late workers add is removed at the end.
async fn purge_once(
    ports: &Ports,
    journal: &Journal,
    job: &JobRef,
    keep: Duration,
) -> Result<(), PortError> {
    let name = format!("purge/{job}");
    let Some(lease) = ports.index.lease(&name, keep).await? else {
        return Ok(());
    };
    // Kept once it is done, so that it is done once.
    let removed = remove_objects(journal, job).await;
    if removed.is_err() {
        ports.index.release(&lease).await?;
    }
    removed
}

/// Removes what is left of a job whose `job.json` is gone: everything but that, so that a job which
/// is being stored at this very moment loses nothing.
pub(crate) async fn purge_leftovers(journal: &Journal, job: &JobRef) -> Result<(), PortError> {
    let (prefix, record) = (layout::job(job), layout::job_record(job));
    let removed = journal
        .delete_below_unless(&prefix, |key| key == record)
        .await?;
    if removed > 0 {
        tracing::info!(%job, removed, "objects of a job that is no more are removed");
    }
    Ok(())
}

async fn remove_objects(journal: &Journal, job: &JobRef) -> Result<(), PortError> {
    journal.delete(layout::manifest(job)).await?;
    journal.delete_below(&layout::manifest_pages(job)).await?;
    journal.delete_below(&layout::data(job)).await?;
    journal.delete_below(&layout::receipts(job)).await?;
    journal.delete_below(&layout::plan(job)).await
}
