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
pub(crate) fn render(
    gateway: &Gateway,
    job: &JobRef,
    manifest: &Manifest,
) -> Result<Vec<u8>, PortError> {
    let now = gateway.ports.clock.now();
    let until = now
        .plus(gateway.settings.link_life)
        .min(manifest.expires_at);
    let list = |files: &[ManifestFile]| -> Vec<Value> {
        files
            .iter()
            .map(|file| entry(gateway, job, file, until))
            .collect()
    };
    let body = json!({
        "transactionTime": manifest.transaction_time.to_string(),
        "request": manifest.request,
        "requiresAccessToken": false,
        "output": list(&manifest.output),
        "error": list(&manifest.error),
    });
    serde_json::to_vec(&body).map_err(|error| PortError::permanent("writing a manifest", error))
}

fn entry(gateway: &Gateway, job: &JobRef, file: &ManifestFile, until: Instant) -> Value {
    let path = file.key.strip_prefix(&layout::job(job));
    let path = path.unwrap_or(&file.key);
    let query = gateway.links.sign(job, path, until);
    let base = gateway.base(&job.tenant);
    let url = format!("{base}/bulk-export/files/{}/{path}?{query}", job.job);
    json!({
        "type": file.kind.name(),
        "url": url,
        "count": file.count,
        "extension": { BYTES: file.bytes, SHA256: file.sha256 },
    })
}
