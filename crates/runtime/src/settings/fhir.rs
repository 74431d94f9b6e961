//! Settings of a source that is a FHIR server.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Secret, nonzero};

/// How a tenant's FHIR server is read, if its source is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FhirSection {
    /// How Sluice shows who it is.
    pub auth: FhirAuthSetting,
    /// `bearer`: the file with the token.
    pub token_file: Option<PathBuf>,
    /// `basic`: the name.
    pub user: Option<String>,
    /// `basic`: the password.
    pub password: Secret,
    /// `smart`: the name of the client.
    pub client_id: Option<String>,
    /// `smart`: its private key, PEM.
    pub key_file: Option<PathBuf>,
    /// `smart`: what the public half is called at the server.
    pub key_id: Option<String>,
    /// `smart`: the token endpoint; unset means that the server's SMART configuration names it.
    pub token_url: Option<String>,
    /// `smart`: what to ask for.
    pub scope: String,
    /// A certificate chain of ours, PEM, where the server asks for one.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// PEM of authorities that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Whether data and credentials may travel unencrypted, beyond this machine.
    pub allow_http: bool,
    /// Resources in a page.
    pub page: NonZeroU32,
    /// Ids in one search.
    pub ids_per_search: NonZeroU32,
    /// The most patients of one chunk.
    pub patients_per_chunk: NonZeroU32,
    /// Which searches are sent by POST.
    pub post: FhirPostSetting,
    /// What becomes of types that the server cannot search by patient.
    pub unsearchable: FhirUnsearchableSetting,
    /// Requests at once in one process.
    pub concurrency: NonZeroU32,
    /// Requests in a second in one process; 0 for any number.
    pub requests_per_second: u32,
    /// The largest answer that is read.
    pub max_body_mib: NonZeroU32,
    /// How long one answer may take.
    pub timeout_seconds: NonZeroU32,
    /// How long the server may take to show what it has accepted.
    pub lag_seconds: u32,
}

impl Default for FhirSection {
    fn default() -> Self {
        Self {
            auth: FhirAuthSetting::None,
            token_file: None,
            user: None,
            password: Secret::default(),
            client_id: None,
            key_file: None,
            key_id: None,
            token_url: None,
            scope: "system/*.rs".to_owned(),
            certificate: None,
            key: None,
            ca_file: None,
            allow_http: false,
            page: nonzero(100),
            ids_per_search: nonzero(50),
            patients_per_chunk: nonzero(50),
            post: FhirPostSetting::Long,
            unsearchable: FhirUnsearchableSetting::Scan,
            concurrency: nonzero(4),
            requests_per_second: 0,
            max_body_mib: nonzero(64),
            timeout_seconds: nonzero(120),
            lag_seconds: 5,
        }
    }
}

/// How Sluice shows a FHIR server who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FhirAuthSetting {
    /// Not at all, or by a certificate alone.
    #[default]
    None,
    /// With a token from a file.
    Bearer,
    /// With a name and a password.
    Basic,
    /// As a client of SMART Backend Services.
    Smart,
}

/// Which searches are sent by POST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FhirPostSetting {
    /// Those whose URL would be long.
    #[default]
    Long,
    /// All.
    Always,
    /// None.
    Never,
}

/// What becomes of types that a FHIR server cannot search by patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FhirUnsearchableSetting {
    /// They are read whole and sifted here.
    #[default]
    Scan,
    /// What cannot be searched for is missing, and told.
    LeaveOut,
}
