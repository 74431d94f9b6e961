//! Who may do what: clients, their keys, the tokens they get, and what a token opens.
//!
//! ```text
//! Tokens    an assertion in, an access token out         (token endpoint)
//! Bearer    an access token in, a Caller out             (every other request)
//! Clients   what administrators register                 (admin API, settings)
//! ```

mod bearer;
mod caller;
mod clients;
mod key_sets;
mod tokens;

pub use bearer::{Bearer, BearerError};
pub use caller::{Caller, Origin};
pub use clients::{ClientError, ClientView, Clients, DeclaredClients};
pub use key_sets::KeySets;
pub use tokens::{Granted, TokenFailure, Tokens};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sluice_auth::{ClientId, ExternalIssuer, KeySecret, LevelName, Registration};
use sluice_fhir::rules::Rules;
use sluice_model::TenantId;
use sluice_ports::KeyFetch;

/// Whether clients must show who they are, and how they do.
#[derive(Clone)]
pub enum Authorization {
    /// Whoever reaches the server gets everything.
    Off,
    /// Registered clients get tokens.
    On(Box<Tokens>),
}

/// How a tenant's files are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Files {
    /// By signed links that work alone (R-180).
    #[default]
    Links,
    /// With the access token, answered with a short signed link to the store (C-046).
    Redirect,
    /// With the access token, through the gateway (R-179).
    Stream,
}

/// An OAuth server whose tokens a tenant takes.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// What its tokens must be.
    pub tokens: ExternalIssuer,
    /// Where its keys are.
    pub jwks_url: String,
    /// Its token endpoint, for discovery.
    pub token_url: Option<String>,
}

/// What a tenant says about who may do what.
#[derive(Clone, Debug)]
pub struct TenantAccess {
    /// The levels that are on.
    pub levels: BTreeSet<LevelName>,
    /// How files are fetched.
    pub files: Files,
    /// Whether this server issues tokens itself.
    pub own_tokens: bool,
    /// Who else does.
    pub issuers: Vec<TrustedIssuer>,
    /// Clients that the settings declare.
    pub clients: BTreeMap<ClientId, Registration>,
    /// What may be asked for and how, and in which form it is answered.
    pub rules: Rules,
}

impl Default for TenantAccess {
    fn default() -> Self {
        Self {
            levels: BTreeSet::from(LevelName::ALL),
            files: Files::default(),
            own_tokens: true,
            issuers: Vec::new(),
            clients: BTreeMap::new(),
            rules: Rules::default(),
        }
    }
}

/// What authorization needs to know of a deployment.
#[derive(Clone)]
pub struct AccessOptions {
    /// Where clients reach the server, without a slash at its end: audiences and issuers are made from it
    /// and never from a request.
    pub public_url: String,
    /// What signing keys are made from: the first signs, all verify.
    pub secrets: Vec<KeySecret>,
    /// How long one key signs.
    pub key_period: Duration,
    /// How long an access token lives.
    pub token_life: Duration,
    /// Fetches key sets.
    pub fetch: Arc<dyn KeyFetch>,
}

impl AccessOptions {
    /// What issues a tenant's tokens.
    pub fn issuer(&self, tenant: &TenantId) -> String {
        format!("{}/{tenant}/oauth2", self.public_url)
    }

    /// Its token endpoint: what assertions must be for.
    pub fn token_url(&self, tenant: &TenantId) -> String {
        format!("{}/{tenant}/oauth2/token", self.public_url)
    }

    /// What its tokens open.
    pub fn fhir_base(&self, tenant: &TenantId) -> String {
        format!("{}/{tenant}/fhir", self.public_url)
    }
}
