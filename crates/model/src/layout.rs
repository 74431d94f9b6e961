//! Where things lie in object storage. The only place that spells a key.

use sluice_fhir::{Instant, ResourceType};

use crate::{AttemptId, ChunkId, JobRef, TenantId};

/// Everything of one tenant lies below this.
pub fn tenant(tenant: &TenantId) -> String {
    format!("{tenant}/")
}

/// Everything a job ever wrote lies below this.
pub fn job(job: &JobRef) -> String {
    format!("{job}/")
}

/// The job as accepted; the first object of a job and the last but one to go.
pub fn job_record(job: &JobRef) -> String {
    format!("{job}/job.json")
}

/// The plan pages.
pub fn plan(job: &JobRef) -> String {
    format!("{job}/plan/")
}

/// One plan page.
pub fn plan_page(job: &JobRef, page: u32) -> String {
    format!("{job}/plan/{page:05}.json")
}

/// The end of the plan.
pub fn sealed(job: &JobRef) -> String {
    format!("{job}/plan/sealed.json")
}

/// All data files.
pub fn data(job: &JobRef) -> String {
    format!("{job}/data/")
}

/// The files of one try at a chunk.
pub fn attempt(job: &JobRef, chunk: ChunkId, attempt: AttemptId) -> String {
    format!("{job}/data/{chunk}/{attempt}/")
}

/// One data file; `folder` is its try's, and `n` counts the files of a type within it, from 1.
pub fn data_file(folder: &str, kind: ResourceType, n: u32, gzip: bool) -> String {
    let packed = if gzip { ".gz" } else { "" };
    format!("{folder}{kind}.{n}.ndjson{packed}")
}

/// What one try at a chunk noted for others; `folder` is its own.
pub fn notes(folder: &str) -> String {
    format!("{folder}notes")
}

/// The file of outcomes that one try at a manifest writes.
pub fn outcome_file(job: &JobRef, tried: AttemptId) -> String {
    format!("{job}/data/outcome/{tried}/OperationOutcome.1.ndjson")
}

/// The receipts.
pub fn receipts(job: &JobRef) -> String {
    format!("{job}/receipt/")
}

/// The commit of a chunk.
pub fn receipt(job: &JobRef, chunk: ChunkId) -> String {
    format!("{job}/receipt/{chunk}")
}

/// The chunk whose receipt a key is.
pub fn receipt_chunk(key: &str) -> Option<ChunkId> {
    key.rsplit_once('/').and_then(|(_, name)| name.parse().ok())
}

/// The commit of a job.
pub fn manifest(job: &JobRef) -> String {
    format!("{job}/manifest.json")
}

/// The pages of the manifest that are offered while the job runs.
pub fn manifest_pages(job: &JobRef) -> String {
    format!("{job}/manifest/")
}

/// One of them, from 1.
pub fn manifest_page(job: &JobRef, page: u32) -> String {
    format!("{job}/manifest/{page:05}.json")
}

/// The tombstone of a job; the last object to go.
pub fn cancel(job: &JobRef) -> String {
    format!("{job}/cancel")
}

/// The clients of a tenant. No tenant's name has an underscore, so this is beside all of them.
pub fn clients(tenant: &TenantId) -> String {
    format!("_clients/{tenant}/")
}

/// All versions of a client; its id must be safe in a key.
pub fn client_versions(tenant: &TenantId, client: &str) -> String {
    format!("_clients/{tenant}/{client}/")
}

/// One version of a client.
pub fn client_version(tenant: &TenantId, client: &str, version: u32) -> String {
    format!("_clients/{tenant}/{client}/{version:08}.json")
}

/// The client and the version whose key this is.
pub fn client_of(key: &str) -> Option<(&str, u32)> {
    let mut parts = key.strip_prefix("_clients/")?.split('/').skip(1);
    let (client, version) = (parts.next()?, parts.next()?);
    let version = version.strip_suffix(".json")?.parse().ok()?;
    parts.next().is_none().then_some((client, version))
}

/// What operators have stopped handing out. No tenant's name has a `_`.
pub fn pauses() -> &'static str {
    "_control/paused/"
}

/// There while nothing of a tenant is handed out; without one, nothing at all.
pub fn pause(tenant: Option<&TenantId>) -> String {
    let name = tenant.map_or(EVERYTHING, TenantId::as_str);
    format!("{}{name}", pauses())
}

/// What a key of a pause stops: one tenant, or everything.
pub fn paused(key: &str) -> Option<Option<TenantId>> {
    match key.strip_prefix(pauses())? {
        EVERYTHING => Some(None),
        name => name.parse().ok().map(Some),
    }
}

/// No tenant can have this name.
const EVERYTHING: &str = "_all";

/// Audit events that wait for the sink, of all tenants. No tenant's name has a `_`.
pub fn audit_outbox() -> &'static str {
    "_audit/outbox/"
}

/// One event that waits; keys sort by the time of their events, and `id` tells those of one moment
/// apart.
pub fn audit_event(at: Instant, id: &str) -> String {
    format!("{}{}-{id}.json", audit_outbox(), sortable(at))
}

/// Everything that the audit keeps for good when it goes into a store.
pub fn audit_log() -> &'static str {
    "_audit/log/"
}

/// Events that went to the sink together: in the folder of the day (UTC) of the first of them.
pub fn audit_batch(first: Instant, id: &str) -> String {
    let day = first.to_string()[..10].replace('-', "/");
    format!("{}{day}/{}-{id}.ndjson", audit_log(), sortable(first))
}

/// Milliseconds in as many digits as they have until 2286; no instant of ours is later.
fn sortable(at: Instant) -> String {
    format!("{:013}", at.millis().max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_keys_sort_by_time_and_belong_to_no_tenant() {
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let event = |text: &str| audit_event(at(text), "00ff00ff00ff00ff");
        let keys = [
            event("1969-12-31T23:59:59Z"),
            event("1970-01-01T00:00:01Z"),
            event("2026-03-01T00:00:00.001Z"),
            event("2026-03-01T00:00:00.002Z"),
            event("2262-01-01T00:00:00Z"),
        ];
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(keys[2], "_audit/outbox/1772323200001-00ff00ff00ff00ff.json");
        assert_eq!(
            audit_batch(at("2026-03-01T00:00:00.001+02:00"), "ab"),
            "_audit/log/2026/02/28/1772316000001-ab.ndjson"
        );
        let name = audit_outbox().split('/').next().unwrap();
        assert!(name.parse::<TenantId>().is_err());
    }

    #[test]
    fn pauses_belong_to_no_tenant_and_none_is_taken_for_another() {
        let north: TenantId = "north".parse().unwrap();
        for tenant in [None, Some(north)] {
            assert_eq!(paused(&pause(tenant.as_ref())), Some(tenant));
        }
        for key in ["_control/paused/", "_control/paused/a/b", "north/_all"] {
            assert_eq!(paused(key), None, "{key}");
        }
        for name in [pauses().split('/').next().unwrap(), EVERYTHING] {
            assert!(name.parse::<TenantId>().is_err(), "{name}");
        }
    }
}
