//! Where the registry of clients is: in the store that the settings name, or behind an admin port.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use sluice_auth::{ClientId, Registration};
use sluice_engine::{ClientError, ClientView, Clients};
use sluice_model::TenantId;
use sluice_runtime::{Settings, TenantSection};

use super::remote::Remote;
use crate::admin_port::{AdminArgs, Undone};

#[derive(Args)]
pub(crate) struct ReachArgs {
    /// The tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: TenantId,
    #[command(flatten)]
    admin: AdminArgs,
    /// The data directory of `sluice serve`; sluice-data unless set
    #[arg(long, value_name = "DIR", conflicts_with = "admin")]
    data_dir: Option<PathBuf>,
}

/// The clients of one tenant.
pub(crate) struct Registry {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// Its FHIR base URL, if the settings are at hand.
    pub(crate) base: Option<String>,
    way: Way,
}

enum Way {
    Store(Clients),
    Port(Remote),
}

impl From<ClientError> for Undone {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Port(error) => Self::Unsure(error.chain()),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

impl ReachArgs {
    /// Opens what is there.
    pub(crate) async fn open(&self) -> anyhow::Result<Registry> {
        self.reach(false).await
    }

    /// Opens it, and makes the data directory if need be.
    pub(crate) async fn open_or_make(&self) -> anyhow::Result<Registry> {
        self.reach(true).await
    }

    async fn reach(&self, make: bool) -> anyhow::Result<Registry> {
        let tenant = self.tenant.clone();
        if let Some(port) = self.admin.named()? {
            let way = Way::Port(Remote::new(port, &tenant));
            let base = None;
            return Ok(Registry { tenant, base, way });
        }
        let settings = self.settings()?;
        prepare(&settings, make)?;
        let way = Way::Store(sluice_wiring::registry(&settings).await?);
        let server = &settings.server;
        let url = server.public_url.clone();
        let url = url.unwrap_or_else(|| format!("http://{}", server.listen));
        let base = Some(format!("{url}/{tenant}/fhir"));
        Ok(Registry { tenant, base, way })
    }

    /// A settings file knows its tenants. `serve --data` needs none, and then any name may be one.
    fn settings(&self) -> anyhow::Result<Settings> {
        let variables = sluice_runtime::environment();
        let mut settings = sluice_runtime::load(self.admin.config(), &variables)?;
        if let Some(folder) = &self.data_dir {
            settings.data_dir.clone_from(folder);
        }
        let tenant = &self.tenant;
        if let Some(config) = self.admin.config()
            && !settings.tenants.contains_key(tenant)
        {
            let known: Vec<&str> = settings.tenants.keys().map(TenantId::as_str).collect();
            bail!(
                "{} has no tenant {tenant}; it has {}",
                config.display(),
                match known.as_slice() {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                }
            );
        }
        let unnamed = || TenantSection::of(String::new());
        settings
            .tenants
            .entry(tenant.clone())
            .or_insert_with(unnamed);
        Ok(settings)
    }
}

/// A folder that is not there is made for the first client only: elsewhere its name is a mistake.
fn prepare(settings: &Settings, make: bool) -> anyhow::Result<()> {
    let folder = match settings.ports.blobs.strip_prefix("file:") {
        Some("") => settings.data_dir.as_path(),
        Some(folder) => Path::new(folder),
        None => return Ok(()),
    };
    if folder.exists() {
        return Ok(());
    }
    let name = folder.display();
    if !make {
        bail!(
            "there is no {name}; say where the servers keep their data by --config or --data-dir"
        );
    }
    // Whole exports will lie in it: for this user only.
    let mut builder = std::fs::DirBuilder::new();
    let created = builder.recursive(true).mode(0o700).create(folder);
    created.with_context(|| format!("making {name}"))
}

impl Registry {
    /// Everyone.
    pub(crate) async fn list(&self) -> Result<Vec<ClientView>, Undone> {
        match &self.way {
            Way::Store(clients) => Ok(clients.list(&self.tenant).await?),
            Way::Port(remote) => remote.list().await,
        }
    }

    /// One of them.
    pub(crate) async fn show(&self, id: &ClientId) -> Result<ClientView, Undone> {
        match &self.way {
            Way::Store(clients) => Ok(clients.show(&self.tenant, id).await?),
            Way::Port(remote) => remote.show(id).await,
        }
    }

    /// Registers a new one.
    pub(crate) async fn add(&self, id: &ClientId, new: &Registration) -> Result<(), Undone> {
        match &self.way {
            Way::Store(clients) => Ok(clients.add(&self.tenant, id, new.clone()).await?),
            Way::Port(remote) => remote.add(id, new).await,
        }
    }

    /// Replaces what is registered, if it is still the version that was seen.
    pub(crate) async fn replace(
        &self,
        id: &ClientId,
        new: &Registration,
        seen: u32,
    ) -> Result<(), Undone> {
        match &self.way {
            Way::Store(clients) => {
                let new = (new.clone(), Some(seen));
                Ok(clients.replace(&self.tenant, id, new).await?)
            }
            Way::Port(remote) => remote.replace(id, new, seen).await,
        }
    }

    /// Lets one do things, or stops it.
    pub(crate) async fn set_enabled(&self, id: &ClientId, enabled: bool) -> Result<(), Undone> {
        match &self.way {
            Way::Store(clients) => Ok(clients.set_enabled(&self.tenant, id, enabled).await?),
            Way::Port(remote) => remote.set_enabled(id, enabled).await,
        }
    }

    /// Removes one for good.
    pub(crate) async fn remove(&self, id: &ClientId) -> Result<(), Undone> {
        match &self.way {
            Way::Store(clients) => Ok(clients.remove(&self.tenant, id).await?),
            Way::Port(remote) => remote.remove(id).await,
        }
    }
}
