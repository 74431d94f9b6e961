//! Whether the settings of who may do what go together.

use sluice_model::TenantId;

use super::{SettingsError, conflict};
use crate::settings::{AuthorizationSetting, Settings, TenantSection};

/// The fewest bytes of a secret that nobody can guess.
const FEWEST: usize = 32;
/// The longest life of an access token.
const LONGEST_TOKEN: u32 = 300;

pub(super) fn check(settings: &Settings) -> Result<(), SettingsError> {
    check_address(settings)?;
    let auth = &settings.auth;
    if auth.token_seconds.get() > LONGEST_TOKEN {
        return conflict(format!(
            "auth.token_seconds is {}: it must be {LONGEST_TOKEN} or less",
            auth.token_seconds
        ));
    }
    for (name, secret) in [
        ("auth.secret", &auth.secret),
        ("auth.previous_secret", &auth.previous_secret),
        ("admin.secret", &settings.admin.secret),
    ] {
        if (1..FEWEST).contains(&secret.reveal().len()) {
            return conflict(format!(
                "{name} must have at least {FEWEST} bytes, such as `openssl rand -base64 32` gives"
            ));
        }
    }
    if auth.secret.reveal().is_empty() && !auth.previous_secret.reveal().is_empty() {
        return conflict("auth.previous_secret is set and auth.secret is not".to_owned());
    }
    let sink = settings.audit.sink.as_str();
    let known = ["file:", "s3://"]
        .iter()
        .any(|one| sink.len() > one.len() && sink.starts_with(one));
    if !known && !["blobs:", "stdout:"].contains(&sink) {
        return conflict(format!(
            "audit.sink is {sink:?}: there are blobs:, stdout:, file:PATH and s3://BUCKET/PREFIX"
        ));
    }
    Ok(())
}

/// what is not on loopback is reached over TLS, which ends here or at an ingress.
fn check_address(settings: &Settings) -> Result<(), SettingsError> {
    let server = &settings.server;
    if let Some(url) = &server.public_url {
        let fits = url.starts_with("http://") || url.starts_with("https://");
        let odd = |letter: char| letter.is_whitespace() || matches!(letter, '?' | '#' | '@');
        let nowhere = url.ends_with("://");
        if nowhere || !fits || url.ends_with('/') || url.contains(odd) {
            return conflict(format!(
                "server.public_url is {url:?}: it must begin with http:// or https:// and have no \
                 slash at its end"
            ));
        }
    }
    if server.tls_certificate.is_some() != server.tls_key.is_some() {
        return conflict(
            "set both server.tls_certificate and server.tls_key, or neither".to_owned(),
        );
    }
    let outside = server
        .public_url
        .as_deref()
        .filter(|url| !leads_to_loopback(url));
    if let Some(url) = outside {
        // Listening on loopback behind a proxy is being reached from outside all the same.
        if server.authorization == AuthorizationSetting::Off {
            return conflict(format!(
                "server.public_url is {url:?}: with server.authorization = \"off\" it must lead to loopback, \
                 because whoever reaches it gets everything"
            ));
        }
        if !url.starts_with("https://") {
            return conflict(format!(
                "server.public_url is {url:?}: it must begin with https://, because tokens and files would \
                 travel in clear; only on loopback may it be http://"
            ));
        }
    }
    if server.listen.ip().is_loopback() {
        return Ok(());
    }
    let listen = server.listen;
    if server.authorization == AuthorizationSetting::Off {
        return conflict(format!(
            "server.listen is {listen}: with server.authorization = \"off\" it must be a loopback \
             address such as 127.0.0.1:8080, because whoever reaches it gets everything"
        ));
    }
    match &server.public_url {
        Some(url) if url.starts_with("https://") => Ok(()),
        _ => conflict(format!(
            "server.listen is {listen}, which is not loopback: set server.public_url to the https:// \
             URL at which clients reach it, and let TLS end at an ingress or here (server.tls_certificate)"
        )),
    }
}

/// Whether a URL names this machine and nothing else.
fn leads_to_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_address = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|ip| ip.is_loopback());
    is_address || host.eq_ignore_ascii_case("localhost")
}

pub(super) fn check_tenant(name: &TenantId, tenant: &TenantSection) -> Result<(), SettingsError> {
    if tenant.levels.is_empty() {
        return conflict(format!(
            "tenants.{name}.levels is empty: there are \"system\", \"patient\" and \"group\""
        ));
    }
    if !tenant.own_tokens && tenant.issuers.is_empty() {
        return conflict(format!(
            "tenants.{name}.own_tokens is false and there are no tenants.{name}.issuers: nobody could \
             get a token"
        ));
    }
    let names_one = tenant
        .issuers
        .values()
        .any(|issuer| issuer.token_url.is_some());
    if !tenant.own_tokens && !names_one {
        return conflict(format!(
            "tenants.{name}.own_tokens is false: one of tenants.{name}.issuers must have a token_url, so \
             that clients can find it"
        ));
    }
    let mut known = Vec::new();
    for (issuer, section) in &tenant.issuers {
        let empty = [
            &section.issuer,
            &section.audience,
            &section.client_claim,
            &section.scope_claim,
        ];
        if empty.iter().any(|text| text.is_empty()) || known.contains(&&section.issuer) {
            return conflict(format!(
                "tenants.{name}.issuers.{issuer}: issuer, audience and claims must not be empty, and no two \
                 may have the same issuer"
            ));
        }
        known.push(&section.issuer);
        let urls = [Some(&section.jwks_url), section.token_url.as_ref()];
        if !urls
            .into_iter()
            .flatten()
            .all(|url| url.starts_with("https://"))
        {
            return conflict(format!(
                "tenants.{name}.issuers.{issuer}: jwks_url and token_url must begin with https://"
            ));
        }
    }
    for (id, registration) in &tenant.clients {
        if let Err(problems) = registration.check(id) {
            let problems = problems.join("; ");
            return conflict(format!("tenants.{name}.clients.{id}: {problems}"));
        }
    }
    Ok(())
}
