//! Renders a stored manifest for a client, with links made now.

use serde_json::{Value, json};
use sluice_engine::Files;
use sluice_fhir::Instant;
use sluice_model::{JobRef, Manifest, ManifestFile, layout};
use sluice_ports::PortError;

use crate::Gateway;
use crate::visit::Visit;

/// Keys of a file entry's `extension`: bytes of NDJSON before any encoding, and their SHA-256.
const BYTES: &str = "urn:sluice:bytes";
const SHA256: &str = "urn:sluice:sha256";

/// The manifest as JSON: every key that versions 1 to 3 of the guide require (T-041). `deleted` is there if
/// anything was deleted: version 1 does not know it, and the others let it be left out. `link` leads to
/// the next page where there is one.
pub(crate) async fn render(
    gateway: &Gateway,
    visit: &Visit<'_>,
    job: &JobRef,
    manifest: &Manifest,
    next: Option<String>,
) -> Result<Vec<u8>, PortError> {
    let files = visit.tenant.access.files;
    let maker = Maker {
        gateway,
        job,
        files,
        end: manifest.expires_at,
    };
    let mut body = json!({
        "transactionTime": manifest.transaction_time.to_string(),
        "request": manifest.request,
        "requiresAccessToken": files != Files::Links,
        "output": maker.list(&manifest.output).await?,
        "error": maker.list(&manifest.error).await?,
    });
    if !manifest.deleted.is_empty() {
        body["deleted"] = maker.list(&manifest.deleted).await?.into();
    }
    if let Some(next) = next {
        body["link"] = json!([{ "relation": "next", "url": next }]);
    }
    serde_json::to_vec(&body).map_err(|error| PortError::permanent("writing a manifest", error))
}

/// Makes the entries of one manifest.
struct Maker<'a> {
    gateway: &'a Gateway,
    job: &'a JobRef,
    files: Files,
    end: Instant,
}

impl Maker<'_> {
    async fn list(&self, files: &[ManifestFile]) -> Result<Vec<Value>, PortError> {
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            entries.push(json!({
                "type": file.kind.name(),
                "url": self.url(file).await?,
                "count": file.count,
                "extension": { BYTES: file.bytes, SHA256: file.sha256 },
            }));
        }
        Ok(entries)
    }

    /// Where the token goes along: through this gateway. Else the store's own signed link where it has
    /// such, or one through this gateway; for as long as the settings say, and never longer than the file
    /// is there.
    async fn url(&self, file: &ManifestFile) -> Result<String, PortError> {
        let Self { gateway, job, .. } = self;
        let path = file.key.strip_prefix(&layout::job(job));
        let path = path.unwrap_or(&file.key);
        let base = gateway.base(&job.tenant);
        let plain = format!("{base}/bulk-export/files/{}/{path}", job.job);
        if self.files != Files::Links {
            return Ok(plain);
        }
        let now = gateway.ports.clock.now();
        let life = gateway.settings.link_life.min(self.end.since(now));
        if let Some(link) = gateway.ports.blobs.link(&file.key, life).await? {
            return Ok(link.url);
        }
        let query = gateway.links.sign(job, path, now.plus(life));
        Ok(format!("{plain}?{query}"))
    }
}
