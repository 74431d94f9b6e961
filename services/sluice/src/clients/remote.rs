//! The registry behind a server's admin port, over HTTP.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::Value;
use sluice_auth::{ClientId, Registration};
use sluice_client::Url;
use sluice_engine::ClientView;
use sluice_model::TenantId;

use super::reach::Undone;
use crate::terminal::say;

/// How long a connection may take to come about, and all of an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_mins(1);

/// The clients of one tenant at a server.
pub(crate) struct Remote {
    http: Client,
    clients: Url,
}

impl Remote {
    /// At this admin port, opened by the secret in a file.
    pub(crate) fn new(port: &Url, secret: &Path, tenant: &TenantId) -> anyhow::Result<Self> {
        let wrong = || format!("--admin {port}: it must be such as http://127.0.0.1:9090");
        if !matches!(port.scheme(), "http" | "https") {
            bail!(wrong());
        }
        let mut clients = port.clone();
        match clients.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().extend(["clients", tenant.as_str()]),
            Err(()) => bail!(wrong()),
        };
        if port.scheme() == "http" && !stays_here(port) {
            say(
                "sluice: warning: admin.secret goes over the network unencrypted; an https:// \
                 address or a tunnel to loopback is better",
            );
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(secret)?);
        // TLS needs a provider of cryptography; that another is set already is fine.
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // The secret goes to the host that was named and to no other.
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .context("setting up HTTP")?;
        Ok(Self { http, clients })
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
        let mut url = self.clients.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(below);
        }
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let unsure = |error: reqwest::Error| {
            let text = format!("the admin port: {:#}", anyhow::Error::from(error));
            Undone::Unsure(text)
        };
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                let error = anyhow::Error::from(error);
                return Undone::Refused(format!("the admin port cannot be reached: {error:#}"));
            }
            unsure(error)
        })?;
        let status = response.status();
        let text = response.text().await.map_err(unsure)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let told = answer["error"].as_str().map(str::to_owned);
        let told = told.unwrap_or_else(|| format!("the admin port answered {status}"));
        Err(if status.is_server_error() {
            Undone::Unsure(told)
        } else {
            Undone::Refused(told)
        })
    }
}

fn written(registration: &Registration) -> Result<Value, Undone> {
    let body = serde_json::to_value(registration);
    body.map_err(|error| Undone::Refused(format!("writing a registration: {error}")))
}

fn parsed<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Undone> {
    let wrong = |error| format!("the admin port answered something else than clients: {error}");
    serde_json::from_value(answer).map_err(|error| Undone::Unsure(wrong(error)))
}

fn bearer(secret: &Path) -> anyhow::Result<HeaderValue> {
    let name = secret.display();
    let text = std::fs::read_to_string(secret).with_context(|| format!("reading {name}"))?;
    let text = text.trim();
    let value = HeaderValue::from_str(&format!("Bearer {text}"));
    match value {
        Ok(mut value) if !text.is_empty() => {
            value.set_sensitive(true);
            Ok(value)
        }
        _ => bail!("{name} must hold admin.secret on one line, and nothing else"),
    }
}

/// Whether what is sent there stays on this machine.
fn stays_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
