//! The order of jobs in a list, and the places where its parts begin.

use sluice_model::{JobId, JobRef, TenantId};
use sluice_ports::JobStatus;

use super::JobsQuery;

/// A job in the index.
pub(super) struct Found {
    pub(super) job: JobRef,
    pub(super) status: JobStatus,
}

impl Found {
    /// The newest first; of one moment, by name.
    fn order(&self) -> (i64, &str, JobId) {
        let nanos = self.status.accepted_at.nanos();
        (
            nanos.saturating_neg(),
            self.job.tenant.as_str(),
            self.job.job,
        )
    }

    pub(super) fn cursor(&self) -> String {
        let (accepted, JobRef { tenant, job }) = (self.status.accepted_at.nanos(), &self.job);
        format!("{accepted}.{tenant}.{job}")
    }

    /// A cursor that cannot be read is before everything.
    pub(super) fn is_in(&self, query: &JobsQuery) -> bool {
        let after = query.after.as_deref().and_then(place);
        let is_after = after.as_ref().is_none_or(|(accepted, tenant, job)| {
            self.order() > (accepted.saturating_neg(), tenant.as_str(), *job)
        });
        is_after
            && query
                .state
                .is_none_or(|wanted| wanted.admits(self.status.state))
    }
}

/// The place in the list that a cursor names.
fn place(cursor: &str) -> Option<(i64, TenantId, JobId)> {
    let mut parts = cursor.splitn(3, '.');
    let (accepted, tenant) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((accepted, tenant, parts.next()?.parse().ok()?))
}

impl JobsQuery {
    /// Whether there is a place in the list where it begins.
    pub fn is_readable(&self) -> bool {
        self.after
            .as_deref()
            .is_none_or(|after| place(after).is_some())
    }
}

/// Puts them in order, and leaves one more than so many.
pub(super) fn keep_first(found: &mut Vec<Found>, limit: usize) {
    found.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
    found.truncate(limit.saturating_add(1));
}
