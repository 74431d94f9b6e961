//! From the access token of a request to who asks: the token is genuine, in time, for this base; its
//! client is registered and enabled now, and what is registered now bounds it.

use std::sync::Arc;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use sluice_auth::{
    AccessToken, Client, External, KeySource, LEEWAY, LONGEST, SigningKeys, TokenError, TokenUse,
};
use sluice_model::TenantId;
use sluice_ports::{Clock, PortError};

use super::tokens::KeyRing;
use super::{AccessOptions, Caller, Clients, KeySets, Origin, TrustedIssuer};
use crate::{Ports, Tenants};

/// Tokens whose signatures are remembered, each until it runs out; those that are used least are forgotten for others.
/// What a client may do is not remembered with them.
const REMEMBERED: usize = 10_000;

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// There is no token.
    #[error("there is no access token")]
    Missing,
    /// The token opens nothing.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It cannot be told just now.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Lets requests in.
#[derive(Clone)]
pub struct Bearer {
    /// None while authorization is off.
    on: Option<Checks>,
}

#[derive(Clone)]
struct Checks {
    options: AccessOptions,
    tenants: Tenants,
    clients: Clients,
    keys: KeyRing,
    sets: KeySets,
    clock: Arc<dyn Clock>,
    proven: Arc<Cache<[u8; 32], Arc<Proven>>>,
}

/// A token whose signature was checked, and until when it is good.
struct Proven {
    token: AccessToken,
    /// Whether this server issued it.
    is_own: bool,
    until: i64,
}

impl Bearer {
    /// Lets everyone in.
    pub fn off() -> Self {
        Self { on: None }
    }

    /// Lets registered clients in.
    pub fn new(
        ports: &Ports,
        tenants: &Tenants,
        clients: &Clients,
        (options, keys, sets): (&AccessOptions, &KeyRing, &KeySets),
    ) -> Self {
        Self {
            on: Some(Checks {
                options: options.clone(),
                tenants: tenants.clone(),
                clients: clients.clone(),
                keys: keys.clone(),
                sets: sets.clone(),
                clock: ports.clock.clone(),
                proven: Arc::new(Cache::new(REMEMBERED)),
            }),
        }
    }

    /// Whether anyone may do anything.
    pub fn is_off(&self) -> bool {
        self.on.is_none()
    }

    /// Who asks; `token` is what follows `Bearer` in the request.
    pub async fn caller(
        &self,
        tenant: &TenantId,
        token: Option<&str>,
        origin: Origin,
    ) -> Result<Caller, BearerError> {
        let Some(checks) = &self.on else {
            return Ok(Caller::anyone(origin));
        };
        let (token, is_own) = checks
            .token(tenant, token.ok_or(BearerError::Missing)?)
            .await?;
        let client = checks.clients.find(tenant, &token.client).await?;
        // Another server may speak only for clients that are registered as its own: it could name any.
        let fits = |client: &Arc<Client>| matches!(client.keys, KeySource::Elsewhere) != is_own;
        let client = client.filter(fits).ok_or(TokenError::Invalid)?;
        // What was taken from the client since the token was issued is gone now.
        let scopes = token.scopes.granted_by(&client.scopes);
        Ok(Caller::client(client, scopes, token.jti, origin))
    }
}

impl Checks {
    /// What a token says, and whether this server issued it.
    async fn token(
        &self,
        tenant: &TenantId,
        text: &str,
    ) -> Result<(AccessToken, bool), BearerError> {
        // With the tenant, as a token is for one base.
        let digest = Sha256::digest(format!("{tenant}\n{text}").as_bytes()).into();
        let now = self.clock.now().millis().div_euclid(1000);
        let remembered = self.proven.get(&digest);
        if let Some(proven) = remembered.filter(|proven| now < proven.until) {
            return Ok((proven.token.clone(), proven.is_own));
        }
        let proven = self.prove(tenant, text, now).await?;
        let found = (proven.token.clone(), proven.is_own);
        self.proven.insert(digest, Arc::new(proven));
        Ok(found)
    }

    async fn prove(&self, tenant: &TenantId, text: &str, now: i64) -> Result<Proven, BearerError> {
        let issuer = sluice_auth::issuer_of(text).ok_or(TokenError::Invalid)?;
        let own = self.options.issuer(tenant);
        let Some(access) = self.tenants.get(tenant).map(|tenant| tenant.access.clone()) else {
            return Err(TokenError::Invalid.into());
        };
        if issuer == own {
            if !access.own_tokens {
                return Err(TokenError::Invalid.into());
            }
            let keys: Arc<SigningKeys> = self.keys.of(tenant)?;
            let what = TokenUse {
                issuer: &own,
                audience: &self.options.fhir_base(tenant),
                now,
            };
            let (token, until) = AccessToken::read(text, &keys, what)?;
            let is_own = true;
            return Ok(Proven {
                token,
                is_own,
                until,
            });
        }
        let trusted = access
            .issuers
            .iter()
            .find(|trusted| trusted.tokens.issuer == issuer);
        self.external(trusted.ok_or(TokenError::Invalid)?, text, now)
            .await
    }

    async fn external(
        &self,
        trusted: &TrustedIssuer,
        text: &str,
        now: i64,
    ) -> Result<Proven, BearerError> {
        let external = External::read(text)?;
        let keys = self.sets.find(&trusted.jwks_url, external.kid()).await;
        let keys = keys.ok_or_else(|| {
            let action = "fetching the keys of the OAuth server that issued this token";
            PortError::new(sluice_ports::PortKind::Transient, action)
        })?;
        let (token, until) = external.prove(&trusted.tokens, &keys, now)?;
        // Then it is proven again, with the keys that there are then.
        let until = until.saturating_add(LEEWAY).min(now + LONGEST);
        let is_own = false;
        Ok(Proven {
            token,
            is_own,
            until,
        })
    }
}
