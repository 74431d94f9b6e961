//! Where things lie in object storage. The only place that spells a key.

use sluice_fhir::ResourceType;

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
