//! Who may do what, as the settings say.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use sluice_auth::{ExternalIssuer, KeySecret};
use sluice_engine::{
    AccessOptions, Authorization, Clients, Files, Ports, TenantAccess, Tokens, TrustedIssuer,
};
use sluice_jwks_http::{JwksHttp, JwksHttpOptions};
use sluice_ports::{FetchedKeys, KeyFetch, PortError, PortKind};
use sluice_runtime::{AuthorizationSetting, FilesSetting, IssuerSection, Settings, TenantSection};

/// What a tenant's settings say about who may do what.
pub(crate) fn tenant_access(section: &TenantSection) -> TenantAccess {
    TenantAccess {
        levels: section.levels_on(),
        files: match section.files() {
            FilesSetting::Links => Files::Links,
            FilesSetting::Redirect => Files::Redirect,
            FilesSetting::Stream => Files::Stream,
        },
        own_tokens: section.own_tokens,
        issuers: section.issuers.values().map(trusted).collect(),
        clients: section.clients.clone(),
        rules: section.rules.rules(),
    }
}

fn trusted(section: &IssuerSection) -> TrustedIssuer {
    TrustedIssuer {
        tokens: ExternalIssuer {
            issuer: section.issuer.clone(),
            audience: section.audience.clone(),
            client_claim: section.client_claim.clone(),
            scope_claim: section.scope_claim.clone(),
        },
        jwks_url: section.jwks_url.clone(),
        token_url: section.token_url.clone(),
    }
}

/// Whether and how clients show who they are. `own` is the secret of a process that needs none from its
/// settings; a service among others has none.
pub fn authorization(
    settings: &Settings,
    ports: &Ports,
    clients: &Clients,
    (public_url, own): (&str, Option<KeySecret>),
) -> anyhow::Result<Authorization> {
    if settings.server.authorization == AuthorizationSetting::Off {
        tracing::warn!(
            "server.authorization is off: whoever reaches {} gets everything",
            settings.server.listen
        );
        return Ok(Authorization::Off);
    }
    let auth = &settings.auth;
    let mut secrets = Vec::new();
    for secret in [&auth.secret, &auth.previous_secret] {
        if !secret.reveal().is_empty() {
            secrets.push(KeySecret::new(secret.reveal())?);
        }
    }
    if secrets.is_empty() {
        secrets.extend(own);
    }
    if secrets.is_empty() {
        bail!(
            "auth.secret is not set; all gateways must share one, such as `openssl rand -base64 32` \
             gives (SLUICE_AUTH__SECRET_FILE names a file that holds it)"
        );
    }
    let options = AccessOptions {
        public_url: public_url.to_owned(),
        secrets,
        key_period: Duration::from_hours(u64::from(auth.key_hours.get())),
        token_life: Duration::from_secs(u64::from(auth.token_seconds.get())),
        fetch: key_fetch(settings)?,
    };
    let tokens = Tokens::new(ports, clients, &options);
    Ok(Authorization::On(Box::new(tokens)))
}

fn key_fetch(settings: &Settings) -> anyhow::Result<Arc<dyn KeyFetch>> {
    let auth = &settings.auth;
    let mut options = JwksHttpOptions {
        private_hosts: auth.jwks_private_hosts.clone(),
        ..JwksHttpOptions::default()
    };
    if let Some(path) = &auth.jwks_ca_file {
        let pem = std::fs::read(path);
        let pem = pem.with_context(|| format!("reading {} (auth.jwks_ca_file)", path.display()))?;
        options.extra_roots_pem = Some(pem);
    }
    let told = options.extra_roots_pem.is_some() || !options.private_hosts.is_empty();
    match JwksHttp::new(options) {
        Ok(fetch) => Ok(Arc::new(fetch)),
        Err(error) if told => Err(error).context("preparing to fetch key sets"),
        // A machine without certificates of authorities can still serve clients whose keys are registered.
        Err(error) => {
            tracing::warn!(%error, "key sets cannot be fetched (jwks_url)");
            Ok(Arc::new(Unfetchable))
        }
    }
}

/// Fetches nothing.
struct Unfetchable;

#[async_trait]
impl KeyFetch for Unfetchable {
    async fn fetch(&self, _url: &str) -> Result<FetchedKeys, PortError> {
        let action = "fetching a key set without certificates of authorities";
        Err(PortError::new(PortKind::Permanent, action))
    }
}
