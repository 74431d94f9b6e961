//! The registry behind a server's admin port.

use reqwest::Method;
use serde_json::Value;
use sluice_auth::{ClientId, Registration};
use sluice_engine::ClientView;
use sluice_model::TenantId;

use crate::admin_port::{AdminPort, Undone, parsed};

/// The clients of one tenant at a server.
pub(crate) struct Remote {
    port: AdminPort,
    tenant: TenantId,
}

impl Remote {
    /// Behind this admin port.
    pub(crate) fn new(port: AdminPort, tenant: &TenantId) -> Self {
        Self {
            port,
            tenant: tenant.clone(),
        }
    }

    pub(crate) async fn list(&self) -> Result<Vec<ClientView>, Undone> {
        let mut answer = self.ask(Method::GET, &[], None).await?;
        parsed(answer["clients"].take())
    }

    pub(crate) async fn show(&self, id: &ClientId) -> Result<ClientView, Undone> {
        parsed(self.ask(Method::GET, &[id.as_str()], None).await?)
    }

    pub(crate) async fn add(&self, id: &ClientId, new: &Registration) -> Result<(), Undone> {
        let mut body = written(new)?;
        body["id"] = id.as_str().into();
        self.ask(Method::POST, &[], Some(&body)).await.map(drop)
    }

    pub(crate) async fn replace(
        &self,
        id: &ClientId,
        new: &Registration,
        seen: u32,
    ) -> Result<(), Undone> {
        let mut body = written(new)?;
        body["version"] = seen.into();
        let path = [id.as_str()];
        self.ask(Method::PUT, &path, Some(&body)).await.map(drop)
    }

    pub(crate) async fn set_enabled(&self, id: &ClientId, enabled: bool) -> Result<(), Undone> {
        let path = [id.as_str(), if enabled { "enable" } else { "disable" }];
        self.ask(Method::POST, &path, None).await.map(drop)
    }

    pub(crate) async fn remove(&self, id: &ClientId) -> Result<(), Undone> {
        let path = [id.as_str()];
        self.ask(Method::DELETE, &path, None).await.map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        below: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, Undone> {
        let path = [&["clients", self.tenant.as_str()], below].concat();
        self.port.ask(method, (&path, &[]), body).await
    }
}

fn written(registration: &Registration) -> Result<Value, Undone> {
    let body = serde_json::to_value(registration);
    body.map_err(|error| Undone::Refused(format!("writing a registration: {error}")))
}
