//! A server's admin port, over HTTP: where it is, its secret, and asking it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_client::Url;
use sluice_runtime::Settings;

use crate::terminal::{print, say};

/// How long a connection may take to come about, and all of an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_mins(1);

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Undone {
    /// It was refused, so nothing has changed.
    Refused(String),
    /// Nobody knows whether it was done.
    Unsure(String),
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => f.write_str(text),
            Self::Unsure(text) => write!(f, "{text}; if something was to be changed, it may be so"),
        }
    }
}

impl std::error::Error for Undone {}

/// Which admin port; that of the settings unless it is said.
#[derive(Args)]
pub(crate) struct AdminArgs {
    /// The address of a server's admin port, `http://HOST:PORT`
    #[arg(long, value_name = "URL", requires = "admin_secret_file")]
    admin: Option<Url>,
    /// The file that holds admin.secret
    #[arg(long, value_name = "FILE", requires = "admin")]
    admin_secret_file: Option<PathBuf>,
    /// The settings file of a server on this machine
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
}

/// A question to an admin port, and how the answer is shown.
#[derive(Args)]
pub(crate) struct AskArgs {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

impl AskArgs {
    /// Gets ready to ask.
    pub(crate) fn open(&self) -> anyhow::Result<AdminPort> {
        self.admin.open()
    }

    /// Prints an answer: as it is, or in words.
    pub(crate) fn show<T: Serialize>(
        &self,
        answer: &T,
        in_words: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        print(&if self.json {
            serde_json::to_string_pretty(answer)?
        } else {
            in_words(answer)
        });
        Ok(())
    }
}

impl AdminArgs {
    /// The settings file, if it is said.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The port, if it is said which.
    pub(crate) fn named(&self) -> anyhow::Result<Option<AdminPort>> {
        match (&self.admin, &self.admin_secret_file) {
            (Some(url), Some(secret)) => AdminPort::new(url, &read_secret(secret)?).map(Some),
            _ => Ok(None),
        }
    }

    /// Gets ready to ask.
    pub(crate) fn open(&self) -> anyhow::Result<AdminPort> {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        let settings =
            sluice_runtime::load(self.config.as_deref(), &sluice_runtime::environment())?;
        let url = listening(&settings).context(
            "say which server by --admin and --admin-secret-file, or by settings with admin.listen",
        )?;
        let secret = settings.admin.secret.reveal();
        if secret.is_empty() {
            bail!("admin.secret is not set; without it the admin port has nothing but its probes");
        }
        AdminPort::new(&url, secret)
    }
}

/// Where the admin port of these settings is reached from this machine.
pub(crate) fn listening(settings: &Settings) -> anyhow::Result<Url> {
    let Some(address) = settings.admin.listen else {
        bail!("admin.listen is not set, so there is no admin port");
    };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let here = SocketAddr::new(ip, address.port());
    Ok(format!("http://{here}").parse()?)
}

/// An HTTP client that goes nowhere else than told.
pub(crate) fn http(headers: HeaderMap, answer: Duration) -> anyhow::Result<Client> {
    // TLS needs a provider of cryptography; that another is set already is fine.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(CONNECT)
        .timeout(answer)
        // The secret goes to the host that was named and to no other.
        .redirect(Policy::none())
        .no_proxy()
        .build()
        .context("setting up HTTP")
}

/// An admin port and what opens it.
pub(crate) struct AdminPort {
    http: Client,
    url: Url,
}

impl AdminPort {
    /// At this address, opened by this secret.
    fn new(url: &Url, secret: &str) -> anyhow::Result<Self> {
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            bail!("--admin {url}: it must be such as http://127.0.0.1:9090");
        }
        if url.scheme() == "http" && !stays_here(url) {
            say(
                "sluice: warning: admin.secret goes over the network unencrypted; an https:// \
                 address or a tunnel to loopback is better",
            );
        }
        let mut headers = HeaderMap::new();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {secret}"))
            .context("admin.secret cannot be sent")?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        Ok(Self {
            http: http(headers, ANSWER)?,
            url: url.clone(),
        })
    }

    /// What lies at a path.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Undone> {
        parsed(self.ask(Method::GET, (path, query), None).await?)
    }

    /// Does something at a path, which is made of these parts.
    pub(crate) async fn ask(
        &self,
        method: Method,
        (path, query): (&[&str], &[(&str, String)]),
        body: Option<&Value>,
    ) -> Result<Value, Undone> {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
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

/// Reads an answer.
pub(crate) fn parsed<T: DeserializeOwned>(answer: Value) -> Result<T, Undone> {
    let wrong = |error| format!("the admin port answered something unknown: {error}");
    serde_json::from_value(answer).map_err(|error| Undone::Unsure(wrong(error)))
}

/// The secret in a file.
fn read_secret(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {name}"))?;
    let text = text.trim();
    if text.is_empty() || HeaderValue::from_str(text).is_err() {
        bail!("{name} must hold admin.secret on one line, and nothing else");
    }
    Ok(text.to_owned())
}

/// Whether what is sent there stays on this machine.
fn stays_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
