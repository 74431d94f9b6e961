//! Renders a stored manifest for a client, with links made now.

use serde_json::{Value, json};
use sluice_fhir::Instant;
use sluice_model::{JobRef, Manifest, ManifestFile, layout};
use sluice_ports::PortError;

use crate::Gateway;

/// Keys of a file entry's `extension`: bytes of NDJSON before any encoding, and their SHA-256.
const BYTES: &str = "urn:sluice:bytes";
const SHA256: &str = "urn:sluice:sha256";

/// The manifest as JSON: every key that versions 1 to 3 of the guide require (T-041).
pub(crate) async fn render(
    gateway: &Gateway,
    job: &JobRef,
    manifest: &Manifest,
) -> Result<Vec<u8>, PortError> {
    let body = json!({
        "transactionTime": manifest.transaction_time.to_string(),
        "request": manifest.request,
        "requiresAccessToken": false,
        "output": list(gateway, job, (&manifest.output, manifest.expires_at)).await?,
        "error": list(gateway, job, (&manifest.error, manifest.expires_at)).await?,
    });
    serde_json::to_vec(&body).map_err(|error| PortError::permanent("writing a manifest", error))
}

async fn list(
    gateway: &Gateway,
    job: &JobRef,
    (files, end): (&[ManifestFile], Instant),
) -> Result<Vec<Value>, PortError> {
    let mut entries = Vec::with_capacity(files.len());
    for file in files {
        entries.push(json!({
            "type": file.kind.name(),
            "url": url(gateway, job, file, end).await?,
            "count": file.count,
            "extension": { BYTES: file.bytes, SHA256: file.sha256 },
        }));
    }
    Ok(entries)
}

/// The store's own signed link where it has such, else one through this gateway; for as long as
/// the settings say, and never longer than the file is there.
async fn url(
    gateway: &Gateway,
    job: &JobRef,
    file: &ManifestFile,
    end: Instant,
) -> Result<String, PortError> {
    let now = gateway.ports.clock.now();
    let life = gateway.settings.link_life.min(end.since(now));
    if let Some(link) = gateway.ports.blobs.link(&file.key, life).await? {
        return Ok(link.url);
    }
    let path = file.key.strip_prefix(&layout::job(job));
    let path = path.unwrap_or(&file.key);
    let query = gateway.links.sign(job, path, now.plus(life));
    let base = gateway.base(&job.tenant);
    Ok(format!(
        "{base}/bulk-export/files/{}/{path}?{query}",
        job.job
    ))
}
