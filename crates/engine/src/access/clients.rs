//! The clients of all tenants: declared in settings, or registered at run time and kept as
//! create-only versions in the store, where every gateway finds them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sluice_auth::{Client, ClientId, Registration};
use sluice_fhir::Instant;
use sluice_model::{TenantId, Version, layout};
use sluice_ports::{Creation, PortError, PortKind};
use tokio::sync::Mutex;

use crate::audit::write_down;
use crate::{AuditAction, AuditEntry, Journal, Origin, Ports, Tenants};

/// What is known is used for this long; a change is everywhere within it.
const FRESH: Duration = Duration::from_secs(10);
/// After so much of it the store is looked at beside the requests, so that none of them has to wait for it.
const AHEAD: Duration = Duration::from_secs(5);
/// How long the store may take to tell of clients, and after a failure it is not asked again.
const PATIENCE: Duration = Duration::from_secs(5);
const RESPITE: Duration = Duration::from_secs(1);
/// Objects listed, and read, at a time.
const PAGE: usize = 1000;
const READS: usize = 16;

/// Why a client was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no such tenant.
    #[error("there is no such tenant")]
    UnknownTenant,
    /// There is no such client.
    #[error("there is no such client")]
    Unknown,
    /// The id is, or was, another's: what that one exported must not become this one's.
    #[error("this client id is, or was, in use; take another")]
    Taken,
    /// It is declared in the settings.
    #[error(
        "this client is declared in the settings; change it there. Only disable and enable work here"
    )]
    Declared,
    /// Somebody else changed it at the same moment.
    #[error("somebody else changed this client at the same moment; look at it and try again")]
    Conflict,
    /// The registration is wrong.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The store could not be reached.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A client as administrators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientView {
    /// The tenant.
    pub tenant: TenantId,
    /// Its id.
    pub id: ClientId,
    /// How often it was changed at run time: whoever changes it says which version they saw.
    #[serde(default)]
    pub version: u32,
    /// Whether the settings declare it.
    #[serde(default)]
    pub declared: bool,
    /// When it was last changed at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Instant>,
    /// What is registered.
    #[serde(flatten)]
    pub registration: Registration,
}

/// One version of a client in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    v: Version,
    at: Instant,
    change: Change,
}

/// What a version says. Later versions replace earlier ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    /// All of a client.
    Registered(Box<Registration>),
    /// Of a declared client: whether it may do anything.
    Enabled(bool),
    /// It is no more, and its id is not used again.
    Removed,
}

/// Clients that settings declare, by tenant.
pub type DeclaredClients = BTreeMap<TenantId, BTreeMap<ClientId, Registration>>;

/// Looks clients up and changes them.
#[derive(Clone)]
pub struct Clients {
    ports: Ports,
    journal: Journal,
    declared: Arc<DeclaredClients>,
    known: Arc<BTreeMap<TenantId, Arc<Known>>>,
    origin: Origin,
}

/// What is known of a tenant's clients: all of them, as what is registered is bounded by who may register.
#[derive(Default)]
struct Known {
    looking: Arc<Mutex<Looking>>,
    seen: RwLock<Option<Arc<Seen>>>,
}

/// What whoever looks at the store goes by; one at a time does.
#[derive(Default)]
struct Looking {
    failed: Option<tokio::time::Instant>,
    stored: BTreeMap<ClientId, (u32, Stored)>,
}

/// What was seen there last.
struct Seen {
    as_of: Instant,
    clients: BTreeMap<ClientId, Arc<Client>>,
}

impl Seen {
    /// A clock that was set back must not make old knowledge fresh.
    fn is_younger(&self, than: Duration, now: Instant) -> bool {
        self.as_of <= now && now < self.as_of.plus(than)
    }
}

impl Known {
    /// What may be used now.
    fn fresh(&self, now: Instant) -> Option<Arc<Seen>> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.clone().filter(|seen| seen.is_younger(FRESH, now))
    }

    fn set(&self, seen: Option<Arc<Seen>>) {
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

impl Clients {
    /// The clients of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants) -> Self {
        let each = tenants.ids().filter_map(|id| Some((id, tenants.get(id)?)));
        let declared = each.map(|(id, tenant)| (id.clone(), tenant.access.clients.clone()));
        Self::of(ports, declared.collect())
    }

    /// The clients of tenants of which only the declared clients are known.
    pub fn of(ports: &Ports, declared: DeclaredClients) -> Self {
        let known = declared.keys().map(|id| (id.clone(), Arc::default()));
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            known: Arc::new(known.collect()),
            declared: Arc::new(declared),
            origin: Origin::default(),
        }
    }

    /// The same for somebody of whom the audit is told where they are.
    #[must_use]
    pub fn asked_from(&self, origin: Origin) -> Self {
        Self {
            origin,
            ..self.clone()
        }
    }

    /// A client that may do something; at most [`FRESH`] old. Fails rather than answers from memory
    /// when the store cannot be asked.
    pub async fn find(
        &self,
        tenant: &TenantId,
        id: &ClientId,
    ) -> Result<Option<Arc<Client>>, PortError> {
        let Some(known) = self.known.get(tenant) else {
            return Ok(None);
        };
        let now = self.ports.clock.now();
        let seen = match known.fresh(now) {
            Some(seen) => {
                if !seen.is_younger(AHEAD, now) {
                    self.look_ahead(tenant, known);
                }
                seen
            }
            None => self.look(tenant, known).await?,
        };
        let found = seen.clients.get(id).cloned();
        Ok(found.filter(|client| client.enabled))
    }

    /// What is seen at the store by this one, or was by whoever it waited for.
    async fn look(&self, tenant: &TenantId, known: &Known) -> Result<Arc<Seen>, PortError> {
        let mut looking = known.looking.lock().await;
        match known.fresh(self.ports.clock.now()) {
            Some(seen) => Ok(seen),
            None => self.refresh_in_time(tenant, (known, &mut looking)).await,
        }
    }

    /// Looks at the store while what is known is used still. That it fails is told to whoever finds nothing to use.
    fn look_ahead(&self, tenant: &TenantId, known: &Arc<Known>) {
        let Ok(mut looking) = Arc::clone(&known.looking).try_lock_owned() else {
            return;
        };
        let (clients, tenant, known) = (self.clone(), tenant.clone(), Arc::clone(known));
        tokio::spawn(async move {
            let looked = clients.refresh_in_time(&tenant, (&known, &mut looking));
            let _told_when_it_matters = looked.await;
        });
    }

    /// Everyone, as of now.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<ClientView>, ClientError> {
        let known = self.known.get(tenant).ok_or(ClientError::UnknownTenant)?;
        let mut looking = known.looking.lock().await;
        self.refresh(tenant, (known, &mut looking)).await?;
        let declared = self.declared.get(tenant);
        let mut views: BTreeMap<ClientId, ClientView> = BTreeMap::new();
        for (id, registration) in declared.into_iter().flatten() {
            views.insert(id.clone(), view(tenant, id, registration, true));
        }
        for (id, (version, stored)) in &looking.stored {
            match &stored.change {
                Change::Registered(registration) if !views.contains_key(id) => {
                    views.insert(id.clone(), view(tenant, id, registration, false));
                }
                Change::Enabled(enabled) => {
                    if let Some(declared) = views.get_mut(id) {
                        declared.registration.enabled &= enabled;
                    }
                }
                Change::Registered(_) | Change::Removed => continue,
            }
            if let Some(shown) = views.get_mut(id) {
                shown.changed = Some(stored.at);
                shown.version = *version;
            }
        }
        Ok(views.into_values().collect())
    }

    /// One of them, as of now.
    pub async fn show(&self, tenant: &TenantId, id: &ClientId) -> Result<ClientView, ClientError> {
        let all = self.list(tenant).await?;
        all.into_iter()
            .find(|view| view.id == *id)
            .ok_or(ClientError::Unknown)
    }

    /// Registers a new client.
    pub async fn add(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        registration: Registration,
    ) -> Result<(), ClientError> {
        registration.check(id).map_err(ClientError::Invalid)?;
        let latest = self.latest(tenant, id).await?;
        if self.is_declared(tenant, id) || latest.is_some() {
            return Err(ClientError::Taken);
        }
        match self.append(tenant, id, 1, registered(registration)).await {
            Err(ClientError::Conflict) => Err(ClientError::Taken),
            done => done,
        }
    }

    /// Replaces what is registered of a client, if it is still the version that was `seen`. Whether it is
    /// enabled stays as it is: nobody should undo that unawares.
    pub async fn replace(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        (registration, seen): (Registration, Option<u32>),
    ) -> Result<(), ClientError> {
        registration.check(id).map_err(ClientError::Invalid)?;
        if self.is_declared(tenant, id) {
            return Err(ClientError::Declared);
        }
        let (version, before) = self.registered(tenant, id).await?;
        if seen.is_some_and(|seen| seen != version) {
            return Err(ClientError::Conflict);
        }
        let registration = Registration {
            enabled: before.enabled,
            ..registration
        };
        self.append(tenant, id, version + 1, registered(registration))
            .await
    }

    /// Lets a client do things, or stops it. A declared one that its settings disable stays so.
    pub async fn set_enabled(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        enabled: bool,
    ) -> Result<(), ClientError> {
        if self.is_declared(tenant, id) {
            let version = self
                .latest(tenant, id)
                .await?
                .map_or(0, |(version, _)| version);
            return self
                .append(tenant, id, version + 1, Change::Enabled(enabled))
                .await;
        }
        let (version, registration) = self.registered(tenant, id).await?;
        let registration = Registration {
            enabled,
            ..registration
        };
        self.append(tenant, id, version + 1, registered(registration))
            .await
    }

    /// Removes a client for good.
    pub async fn remove(&self, tenant: &TenantId, id: &ClientId) -> Result<(), ClientError> {
        if self.is_declared(tenant, id) {
            return Err(ClientError::Declared);
        }
        let (version, _) = self.registered(tenant, id).await?;
        self.append(tenant, id, version + 1, Change::Removed).await
    }

    fn is_declared(&self, tenant: &TenantId, id: &ClientId) -> bool {
        self.declared
            .get(tenant)
            .is_some_and(|clients| clients.contains_key(id))
    }

    /// The last version of a client that is registered and not removed.
    async fn registered(
        &self,
        tenant: &TenantId,
        id: &ClientId,
    ) -> Result<(u32, Registration), ClientError> {
        match self.latest(tenant, id).await? {
            Some((version, stored)) => match stored.change {
                Change::Registered(registration) => Ok((version, *registration)),
                Change::Enabled(_) | Change::Removed => Err(ClientError::Unknown),
            },
            None => Err(ClientError::Unknown),
        }
    }

    async fn latest(
        &self,
        tenant: &TenantId,
        id: &ClientId,
    ) -> Result<Option<(u32, Stored)>, ClientError> {
        if !self.known.contains_key(tenant) {
            return Err(ClientError::UnknownTenant);
        }
        let prefix = layout::client_versions(tenant, id.as_str());
        let versions = self.versions(&prefix).await?;
        match versions.last() {
            Some((_, version)) => Ok(self.stored(tenant, id, *version).await?),
            None => Ok(None),
        }
    }

    async fn append(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        version: u32,
        change: Change,
    ) -> Result<(), ClientError> {
        let stored = Stored {
            v: Version::default(),
            at: self.ports.clock.now(),
            change,
        };
        self.tell(tenant, id, &stored.change).await?;
        let key = layout::client_version(tenant, id.as_str(), version);
        if self.journal.create(&key, &stored).await? == Creation::Exists {
            return Err(ClientError::Conflict);
        }
        if let Some(known) = self.known.get(tenant) {
            // Whoever looks at this moment may have missed it.
            let _nobody_looks = known.looking.lock().await;
            known.set(None);
        }
        tracing::info!(%tenant, client = %id, version, "a client was changed");
        Ok(())
    }

    /// Tells the audit what is about to change. Who does it holds the admin secret or the store itself.
    async fn tell(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        change: &Change,
    ) -> Result<(), PortError> {
        let action = AuditAction::ClientChanged;
        let mut entry = AuditEntry::by_administrator(&self.origin, Some(tenant), action);
        entry.details.push(("client", id.to_string()));
        match change {
            Change::Registered(registration) => {
                entry.details.push(("change", "registered".to_owned()));
                entry
                    .details
                    .push(("scopes", registration.scopes.join(" ")));
                entry
                    .details
                    .push(("enabled", registration.enabled.to_string()));
                let groups = registration.groups.as_ref();
                let groups = groups.map_or("all".to_owned(), |groups| groups.len().to_string());
                entry.details.push(("groups", groups));
                let keys = match (&registration.jwks, &registration.jwks_url) {
                    (Some(set), _) => format!("inline, SHA-256 {}", digest(set)),
                    (None, Some(_)) => "at a URL".to_owned(),
                    (None, None) => "none".to_owned(),
                };
                entry.details.push(("keys", keys));
            }
            Change::Enabled(enabled) => entry.details.push(("enabled", enabled.to_string())),
            Change::Removed => entry.details.push(("change", "removed".to_owned())),
        }
        write_down(&self.ports, &entry).await
    }

    /// Looks at the store, which has so long to answer. Whoever waited meanwhile hears of a failure and does
    /// not try again at once, or each would wait for all before it.
    async fn refresh_in_time(
        &self,
        tenant: &TenantId,
        (known, looking): (&Known, &mut Looking),
    ) -> Result<Arc<Seen>, PortError> {
        let now = tokio::time::Instant::now();
        if looking.failed.is_some_and(|failed| now < failed + RESPITE) {
            let action = "looking a client up, which failed a moment ago";
            return Err(PortError::new(PortKind::Transient, action));
        }
        let refreshed = self.refresh(tenant, (known, looking));
        let refreshed = tokio::time::timeout(PATIENCE, refreshed).await;
        let refreshed = refreshed
            .unwrap_or_else(|late| Err(PortError::transient("looking a client up in time", late)));
        looking.failed = refreshed.is_err().then(tokio::time::Instant::now);
        refreshed
    }

    /// Looks at the store: what is new there is read.
    async fn refresh(
        &self,
        tenant: &TenantId,
        (known, looking): (&Known, &mut Looking),
    ) -> Result<Arc<Seen>, PortError> {
        let now = self.ports.clock.now();
        let mut latest = BTreeMap::new();
        // In order of their keys, so that the last of a client is its highest.
        for (id, version) in self.versions(&layout::clients(tenant)).await? {
            latest.insert(id, version);
        }
        latest.retain(|id, version| {
            let have = looking.stored.get(id);
            have.is_none_or(|(have, _)| have != version)
        });
        let reads = latest.into_iter().map(async |(id, version)| {
            let stored = self.stored(tenant, &id, version).await;
            (id, version, stored)
        });
        let mut reads = stream::iter(reads).buffer_unordered(READS);
        while let Some((id, version, stored)) = reads.next().await {
            match stored {
                Ok(Some(stored)) => {
                    looking.stored.insert(id, stored);
                }
                Ok(None) => {}
                // One such client must not hold up the others.
                Err(error) if error.is_unreadable() => {
                    tracing::warn!(%tenant, client = %id, version, error = error.chain(),
                        "a client cannot be read, so it can do nothing");
                    let stored = Stored {
                        v: Version::default(),
                        at: now,
                        change: Change::Enabled(false),
                    };
                    looking.stored.insert(id, (version, stored));
                }
                Err(error) => return Err(error),
            }
        }
        let seen = Arc::new(Seen {
            as_of: now,
            clients: self.compiled(tenant, &looking.stored),
        });
        known.set(Some(Arc::clone(&seen)));
        Ok(seen)
    }

    fn compiled(
        &self,
        tenant: &TenantId,
        stored: &BTreeMap<ClientId, (u32, Stored)>,
    ) -> BTreeMap<ClientId, Arc<Client>> {
        let mut clients = BTreeMap::new();
        let mut add = |id: &ClientId, registration: &Registration| match registration.check(id) {
            Ok(client) => {
                clients.insert(id.clone(), Arc::new(client));
            }
            // It was checked when it was written; an older or newer Sluice may have thought otherwise.
            Err(problems) => tracing::warn!(%tenant, client = %id, problems = problems.join("; "),
                "a registered client cannot be used"),
        };
        for (id, (_, stored)) in stored {
            if let Change::Registered(registration) = &stored.change {
                add(id, registration);
            }
        }
        for (id, registration) in self.declared.get(tenant).into_iter().flatten() {
            let mut registration = registration.clone();
            // Whoever was stopped or removed under this id is not let in again by a declaration.
            registration.enabled &= match stored.get(id).map(|(_, stored)| &stored.change) {
                Some(Change::Enabled(enabled)) => *enabled,
                Some(Change::Registered(before)) => before.enabled,
                Some(Change::Removed) => false,
                None => true,
            };
            add(id, &registration);
        }
        clients
    }

    async fn versions(&self, prefix: &str) -> Result<Vec<(ClientId, u32)>, PortError> {
        let mut versions = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self
                .ports
                .blobs
                .list(prefix, after.as_deref(), PAGE)
                .await?;
            let full = page.len() == PAGE;
            for blob in &page {
                if let Some((id, version)) = layout::client_of(&blob.key)
                    && let Ok(id) = id.parse()
                {
                    versions.push((id, version));
                }
            }
            after = page.into_iter().last().map(|blob| blob.key);
            if !full {
                return Ok(versions);
            }
        }
    }

    async fn stored(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        version: u32,
    ) -> Result<Option<(u32, Stored)>, PortError> {
        let key = layout::client_version(tenant, id.as_str(), version);
        let stored: Option<Stored> = self.journal.read(&key, "reading a client").await?;
        Ok(stored.map(|stored| (version, stored)))
    }
}

/// Tells one set of keys from another.
fn digest(set: &Value) -> String {
    hex::encode(Sha256::digest(set.to_string()))
}

fn registered(registration: Registration) -> Change {
    Change::Registered(Box::new(registration))
}

fn view(
    tenant: &TenantId,
    id: &ClientId,
    registration: &Registration,
    declared: bool,
) -> ClientView {
    ClientView {
        tenant: tenant.clone(),
        id: id.clone(),
        version: 0,
        declared,
        changed: None,
        registration: registration.clone(),
    }
}
