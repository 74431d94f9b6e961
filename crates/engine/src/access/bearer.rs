//! From the access token of a request to who asks: the token is genuine, in time, for this base; its
//! client is registered and enabled now, and what is registered now bounds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use sluice_auth::{AccessToken, External, SigningKeys, TokenError, TokenUse};
use sluice_model::TenantId;
use sluice_ports::{Clock, PortError};

use super::tokens::KeyRing;
use super::{AccessOptions, Caller, Clients, KeySets, Origin, TrustedIssuer};
use crate::{Ports, Tenants};

/// Tokens whose signatures are remembered.
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
    proven: Arc<Mutex<HashMap<[u8; 32], Proven>>>,
}

/// A token whose signature was checked, and until when it is good.
#[derive(Clone)]
struct Proven {
    token: AccessToken,
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
                proven: Arc::default(),
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
        let token = checks
            .token(tenant, token.ok_or(BearerError::Missing)?)
            .await?;
        let client = checks.clients.find(tenant, &token.client).await?;
        let client = client.ok_or(TokenError::Invalid)?;
        // What was taken from the client since the token was issued is gone now.
        let scopes = token.scopes.granted_by(&client.scopes);
        Ok(Caller::client(client, scopes, token.jti, origin))
    }
}

impl Checks {
    async fn token(&self, tenant: &TenantId, text: &str) -> Result<AccessToken, BearerError> {
        // With the tenant, as a token is for one base.
        let digest = Sha256::digest(format!("{tenant}\n{text}").as_bytes()).into();
        let now = self.clock.now().millis().div_euclid(1000);
        let remembered = self.remembered().get(&digest).cloned();
        if let Some(proven) = remembered {
            return if now < proven.until {
                Ok(proven.token)
            } else {
                Err(TokenError::Expired.into())
            };
        }
        let (token, until) = self.prove(tenant, text, now).await?;
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.retain(|_, proven| now < proven.until);
        }
        // Still full: rather check again than grow.
        if remembered.len() < REMEMBERED {
            let token = token.clone();
            remembered.insert(digest, Proven { token, until });
        }
        Ok(token)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Proven>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn prove(
        &self,
        tenant: &TenantId,
        text: &str,
        now: i64,
    ) -> Result<(AccessToken, i64), BearerError> {
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
            return Ok(AccessToken::read(text, &keys, what)?);
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
    ) -> Result<(AccessToken, i64), BearerError> {
        let external = External::read(text)?;
        let keys = self.sets.find(&trusted.jwks_url, external.kid()).await;
        let keys = keys.ok_or_else(|| {
            let action = "fetching the keys of the OAuth server that issued this token";
            PortError::new(sluice_ports::PortKind::Transient, action)
        })?;
        let (token, until) = external.prove(&trusted.tokens, &keys, now)?;
        // A key that is withdrawn is noticed no later than its set is fetched again.
        Ok((token, until.min(now + sluice_auth::LONGEST)))
    }
}
