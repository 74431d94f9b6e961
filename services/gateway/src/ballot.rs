//! The manifest as 4.0.0-ballot has it (spec 4.3): `outcome` in place of `error`, no `request`, and FHIR's own
//! extensions.

use serde_json::{Value, json};
use sluice_fhir::ResourceType;
use sluice_model::{Manifest, ManifestFile};

use crate::manifest::SHA256;

///
const MANIFEST: &str = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkDataManifest";

/// What the lists of files are put into. `output` is there even if it is empty, for clients that want it so
/// (T-041); the others are there if they hold something.
pub(crate) fn manifest(
    manifest: &Manifest,
    requires_token: bool,
    [output, deleted, outcome]: [Vec<Value>; 3],
) -> Value {
    let mut body = json!({
        "manifestType": MANIFEST,
        "transactionTime": manifest.transaction_time.to_string(),
        "requiresAccessToken": requires_token,
        "outputFormat": "application/fhir+ndjson",
        "output": output,
    });
    for (name, list) in [("deleted", deleted), ("outcome", outcome)] {
        if !list.is_empty() {
            body[name] = list.into();
        }
    }
    body
}

/// One file. Only data has a type.
pub(crate) fn entry(file: &ManifestFile, url: &str) -> Value {
    let mut entry = json!({
        "url": url,
        "count": file.count,
        "fileSize": file.bytes,
        "extension": [{ "url": SHA256, "valueString": file.sha256 }],
    });
    let is_data = file.kind != ResourceType::BUNDLE && file.kind != ResourceType::OPERATION_OUTCOME;
    if is_data {
        entry["type"] = json!(file.kind);
    }
    if !file.severities.is_empty() {
        entry["countSeverity"] = json!(file.severities);
    }
    entry
}
