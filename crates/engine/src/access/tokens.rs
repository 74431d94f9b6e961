//! The token endpoint: a client's assertion in, an access token out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use sluice_auth::{
    AccessToken, Assertion, Client, ClientId, Expected, Issued, Jwks, KeySource, NoSigningKey,
    Refusal, SigningKeys, TokenForm, TokenUse,
};
use sluice_model::TenantId;
use sluice_ports::{Clock, PortError};

use super::{AccessOptions, Clients, KeySets};
use crate::Ports;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFailure {
    /// The request is refused; who it says to be, as far as it says so.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// Who it says to be; not proven.
        claimed: Option<ClientId>,
    },
    /// It cannot be told just now. Nobody gets a token who might not get one (decision 5).
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<Refusal> for TokenFailure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            refusal,
            claimed: None,
        }
    }
}

/// What a client is about to be given.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What the token will say.
    pub token: AccessToken,
}

/// The signing keys of each tenant, made when they are first needed.
#[derive(Clone)]
pub struct KeyRing {
    options: AccessOptions,
    clock: Arc<dyn Clock>,
    made: Arc<Mutex<HashMap<TenantId, Arc<SigningKeys>>>>,
}

impl KeyRing {
    pub(crate) fn new(options: &AccessOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            options: options.clone(),
            clock,
            made: Arc::default(),
        }
    }

    /// The keys of a tenant now.
    pub(crate) fn of(&self, tenant: &TenantId) -> Result<Arc<SigningKeys>, PortError> {
        let now = seconds(self.clock.as_ref());
        let period = i64::try_from(self.options.key_period.as_secs()).unwrap_or(i64::MAX);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = made
            .get(tenant)
            .filter(|keys| keys.are_current(period, now))
        {
            return Ok(Arc::clone(keys));
        }
        let keys = SigningKeys::at(&self.options.secrets, tenant, period, now);
        let keys = Arc::new(keys.map_err(no_key)?);
        made.insert(tenant.clone(), Arc::clone(&keys));
        Ok(keys)
    }
}

fn no_key(error: NoSigningKey) -> PortError {
    PortError::permanent("signing an access token", error)
}

fn seconds(clock: &dyn Clock) -> i64 {
    clock.now().millis().div_euclid(1000)
}

/// Gives out access tokens.
#[derive(Clone)]
pub struct Tokens {
    ports: Ports,
    options: AccessOptions,
    clients: Clients,
    keys: KeyRing,
    sets: KeySets,
}

impl Tokens {
    /// For these clients.
    pub fn new(ports: &Ports, clients: &Clients, options: &AccessOptions) -> Self {
        Self {
            ports: ports.clone(),
            options: options.clone(),
            clients: clients.clone(),
            keys: KeyRing::new(options, ports.clock.clone()),
            sets: KeySets::new(
                options.fetch.clone(),
                ports.clock.clone(),
                ports.metrics.clone(),
            ),
        }
    }

    /// What tokens are checked with.
    pub fn bearer(&self, tenants: &crate::Tenants) -> super::Bearer {
        let parts = (&self.options, &self.keys, &self.sets);
        super::Bearer::new(&self.ports, tenants, &self.clients, parts)
    }

    /// The public keys of a tenant's tokens.
    pub fn jwks(&self, tenant: &TenantId) -> Result<Value, PortError> {
        Ok(self.keys.of(tenant)?.jwks())
    }

    /// What the client that sent this form may have. The assertion is used up by it.
    pub async fn grant(&self, tenant: &TenantId, body: &[u8]) -> Result<Granted, TokenFailure> {
        let form = TokenForm::read(body)?;
        let expected = Expected {
            audience: &self.options.token_url(tenant),
            now: seconds(self.ports.clock.as_ref()),
        };
        let assertion = Assertion::read(&form.assertion, expected)?;
        let granted = self.proven(tenant, &form, &assertion).await;
        granted.map_err(|failure| match failure {
            TokenFailure::Refused { refusal, .. } => TokenFailure::Refused {
                refusal,
                claimed: Some(assertion.client().clone()),
            },
            TokenFailure::Port(error) => TokenFailure::Port(error),
        })
    }

    async fn proven(
        &self,
        tenant: &TenantId,
        form: &TokenForm,
        assertion: &Assertion<'_>,
    ) -> Result<Granted, TokenFailure> {
        let id = assertion.client();
        if form
            .client_id
            .as_ref()
            .is_some_and(|said| said != id.as_str())
        {
            return Err(Refusal::client("client_id is not the iss of the assertion").into());
        }
        let client = self.clients.find(tenant, id).await?;
        let Some((client, keys)) = self.with_keys(client, assertion).await else {
            return Err(assertion.prove_nothing().into());
        };
        assertion.prove(&keys)?;
        // Only now, or anybody could use up the assertions of others (T-068).
        if !self.is_first_use(tenant, assertion).await? {
            return Err(Refusal::REPLAYED.into());
        }
        let asked = sluice_auth::Scopes::lenient(&form.scope);
        let scopes = asked.granted_by(&client.scopes);
        if scopes.is_empty() {
            return Err(Refusal::NO_SCOPE.into());
        }
        let token = AccessToken {
            client: id.clone(),
            scopes,
            jti: self.random()?,
        };
        Ok(Granted { token })
    }

    /// The keys that are registered, wherever they are; none if `jku` says otherwise.
    async fn with_keys(
        &self,
        client: Option<Arc<Client>>,
        assertion: &Assertion<'_>,
    ) -> Option<(Arc<Client>, Arc<Jwks>)> {
        let client = client?;
        let keys = match &client.keys {
            KeySource::Inline(keys) if assertion.jku().is_none() => Arc::new(keys.clone()),
            KeySource::Url(url) if assertion.jku().is_none_or(|jku| jku == url) => {
                self.sets.find(url, assertion.kid()).await?
            }
            _ => return None,
        };
        Some((client, keys))
    }

    async fn is_first_use(
        &self,
        tenant: &TenantId,
        assertion: &Assertion<'_>,
    ) -> Result<bool, PortError> {
        let jti = hex::encode(Sha256::digest(assertion.jti().as_bytes()));
        let name = format!("jti/{tenant}/{}/{jti}", assertion.client());
        let memory = Duration::from_secs(Assertion::MEMORY);
        let by = self.random()?;
        self.ports.index.first_use(&name, &by, memory).await
    }

    fn random(&self) -> Result<String, PortError> {
        let mut bytes = [0; 16];
        self.ports.entropy.fill(&mut bytes)?;
        Ok(hex::encode(bytes))
    }

    /// Signs what was granted.
    pub fn issue(&self, tenant: &TenantId, granted: &Granted) -> Result<Issued, PortError> {
        let what = TokenUse {
            issuer: &self.options.issuer(tenant),
            audience: &self.options.fhir_base(tenant),
            now: seconds(self.ports.clock.as_ref()),
        };
        let life = i64::try_from(self.options.token_life.as_secs()).unwrap_or(1);
        let keys = self.keys.of(tenant)?;
        granted.token.issue(&keys, what, life).map_err(no_key)
    }
}
