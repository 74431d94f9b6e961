//! Settings of who may do what, and of what is written down about it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Secret, nonzero};

/// Whether clients must show who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationSetting {
    /// By SMART Backend Services.
    #[default]
    On,
    /// Whoever reaches the server gets everything; on loopback only.
    Off,
}

/// Tokens and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSection {
    /// What all gateways share, at least 32 bytes: the keys that sign access tokens are made from it.
    /// `sluice serve` makes its own unless it is set.
    pub secret: Secret,
    /// What it replaced; tokens signed with it are still taken.
    pub previous_secret: Secret,
    /// How long one key signs.
    pub key_hours: NonZeroU32,
    /// How long an access token lives; 300 at most.
    pub token_seconds: NonZeroU32,
    /// Hosts of key sets that may be at private addresses.
    pub jwks_private_hosts: Vec<String>,
    /// Certificates of authorities, beside those of the system, for fetching key sets; PEM.
    pub jwks_ca_file: Option<PathBuf>,
}

impl Default for AuthSection {
    fn default() -> Self {
        Self {
            secret: Secret::default(),
            previous_secret: Secret::default(),
            key_hours: nonzero(24),
            token_seconds: nonzero(300),
            jwks_private_hosts: Vec::new(),
            jwks_ca_file: None,
        }
    }
}

/// What is written down about who did what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// Where it goes for good: `blobs:`, `file:PATH`, `stdout:` or `s3://BUCKET/PREFIX`.
    pub sink: String,
    /// Events that may wait for the sink; then exports are refused until it takes some.
    pub most_waiting: NonZeroU32,
    /// Between two deliveries.
    pub deliver_seconds: NonZeroU32,
}

impl Default for AuditSection {
    fn default() -> Self {
        Self {
            sink: "blobs:".to_owned(),
            most_waiting: nonzero(10_000),
            deliver_seconds: nonzero(5),
        }
    }
}

/// An OAuth server whose access tokens a tenant takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// What its tokens have as `iss`.
    pub issuer: String,
    /// What they must have among their `aud`.
    pub audience: String,
    /// Where its keys are.
    pub jwks_url: String,
    /// Its token endpoint, for discovery.
    #[serde(default)]
    pub token_url: Option<String>,
    /// The claim that names the client, as it is registered here.
    #[serde(default = "client_id")]
    pub client_claim: String,
    /// The claim that holds the scopes.
    #[serde(default = "scope")]
    pub scope_claim: String,
}

/// The issuers of a tenant by a name for operators.
pub type Issuers = BTreeMap<String, IssuerSection>;

fn client_id() -> String {
    "client_id".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}

/// How a tenant's files are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilesSetting {
    /// By signed links that work alone.
    #[default]
    Links,
    /// With the access token, which is answered with a short signed link to the store.
    Redirect,
    /// With the access token, through the gateway.
    Stream,
}
