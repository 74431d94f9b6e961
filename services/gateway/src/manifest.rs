//! Renders a stored manifest for a client, with links made now.

use std::collections::HashMap;

use serde_json::{Value, json};
use sluice_engine::Files;
use sluice_fhir::rules::Paths;
use sluice_fhir::{Guide, Instant, ResourceType};
use sluice_model::{JobRef, Manifest, ManifestFile};
use sluice_ports::PortError;

use crate::visit::Visit;
use crate::{Gateway, ballot, urls};

/// Keys of a file entry's `extension`: bytes of NDJSON before any encoding, and their SHA-256.
const BYTES: &str = "urn:sluice:bytes";
pub(crate) const SHA256: &str = "urn:sluice:sha256";

/// The manifest as JSON, in the form of the guide by which the export was asked for. `link` leads to the next page
/// where there is one.
pub(crate) async fn render(
    gateway: &Gateway,
    visit: &Visit<'_>,
    (job, guide): (&JobRef, Guide),
    manifest: &Manifest,
    next: Option<String>,
) -> Result<Vec<u8>, PortError> {
    let files = visit.tenant.access.files;
    let maker = Maker {
        gateway,
        job,
        files,
        paths: visit.rules().paths,
        guide,
        end: manifest.expires_at,
    };
    let organized = manifest.organized_by;
    let output = maker.data(&manifest.output, organized).await?;
    let deleted = maker.list(&manifest.deleted).await?;
    let error = maker.list(&manifest.error).await?;
    let requires_token = files != Files::Links;
    let mut body = match guide {
        Guide::Third => third(manifest, requires_token, [output, deleted, error]),
        Guide::Ballot => ballot::manifest(manifest, requires_token, [output, deleted, error]),
    };
    if let Some(kind) = organized {
        // R-152; R-153 where it is left out.
        body["outputOrganizedBy"] = json!(kind.name());
    }
    if let Some(next) = next {
        body["link"] = json!([{ "relation": "next", "url": next }]);
    }
    serde_json::to_vec(&body).map_err(|error| PortError::permanent("writing a manifest", error))
}

/// The manifest as JSON: every key that versions 1 to 3 of the guide require (T-041). `deleted` is there if
/// anything was deleted: version 1 does not know it, and the others let it be left out.
fn third(
    manifest: &Manifest,
    requires_token: bool,
    [output, deleted, error]: [Vec<Value>; 3],
) -> Value {
    let mut body = json!({
        "transactionTime": manifest.transaction_time.to_string(),
        "request": manifest.request,
        "requiresAccessToken": requires_token,
        "output": output,
        "error": error,
    });
    if !deleted.is_empty() {
        body["deleted"] = deleted.into();
    }
    body
}

/// Makes the entries of one manifest.
struct Maker<'a> {
    gateway: &'a Gateway,
    job: &'a JobRef,
    files: Files,
    paths: Paths,
    guide: Guide,
    end: Instant,
}

impl Maker<'_> {
    /// The entries of data. Files of blocks hold many types, so they have none, and say where their last
    /// block goes on: in a file of the same chunk, so of the same page.
    async fn data(
        &self,
        files: &[ManifestFile],
        organized: Option<ResourceType>,
    ) -> Result<Vec<Value>, PortError> {
        let mut entries = self.list(files).await?;
        if organized.is_none() {
            return Ok(entries);
        }
        let places = files.iter().enumerate();
        let places: HashMap<&str, usize> =
            places.map(|(at, file)| (file.key.as_str(), at)).collect();
        for (at, file) in files.iter().enumerate() {
            if let Some(entry) = entries[at].as_object_mut() {
                entry.remove("type");
            }
            let next = file.continues_in.as_deref();
            if let Some(next) = next.and_then(|key| places.get(key)) {
                entries[at]["continuesInFile"] = entries[*next]["url"].clone();
            }
        }
        Ok(entries)
    }

    async fn list(&self, files: &[ManifestFile]) -> Result<Vec<Value>, PortError> {
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            let url = self.url(file).await?;
            entries.push(match self.guide {
                Guide::Third => json!({
                    "type": file.kind.name(),
                    "url": url,
                    "count": file.count,
                    "extension": { BYTES: file.bytes, SHA256: file.sha256 },
                }),
                Guide::Ballot => ballot::entry(file, &url),
            });
        }
        Ok(entries)
    }

    /// Where the token goes along: through this gateway. Else the store's own signed link where it has
    /// such, or one through this gateway; for as long as the settings say, and never longer than the file
    /// is there.
    async fn url(&self, file: &ManifestFile) -> Result<String, PortError> {
        let Self { gateway, job, .. } = self;
        let base = gateway.base(&job.tenant);
        let plain = urls::file(&base, self.paths, (job, file));
        if self.files != Files::Links {
            return Ok(plain);
        }
        let now = gateway.ports.clock.now();
        let life = gateway.settings.link_life.min(self.end.since(now));
        if let Some(link) = gateway.ports.blobs.link(&file.key, life).await? {
            return Ok(link.url);
        }
        let query = gateway
            .links
            .sign(job, urls::path(job, file), now.plus(life));
        Ok(format!("{plain}?{query}"))
    }
}
