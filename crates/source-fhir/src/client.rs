//! The HTTP client for one server, and the base URL it may be used with.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, Identity, redirect, retry, tls};
use sluice_ports::PortError;
use url::{Host, Url};

use crate::options::FhirOptions;
use crate::roots;

/// Whether what is sent there stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The base URL, if it gives nothing away.
pub(crate) fn base(options: &FhirOptions) -> Result<Url, PortError> {
    const ACTION: &str = "using the base URL of a FHIR server";
    let wrong = |text: &'static str| PortError::permanent(ACTION, text);
    let mut url = Url::parse(&options.base).map_err(|_| wrong("it is no URL"))?;
    let secret = !url.username().is_empty() || url.password().is_some();
    if secret || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "it must hold no user name, password, query or fragment",
        ));
    }
    match url.scheme() {
        "https" => {}
        "http" if options.allow_http || is_loopback(&url) => {}
        "http" => {
            return Err(wrong(
                "it is http:// and not on this machine; use https://, or set fhir.allow_http",
            ));
        }
        _ => return Err(wrong("it must begin with https://")),
    }
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
    }
    Ok(url)
}

/// A client that follows nothing, tries nothing twice and asks no proxy.
pub(crate) fn client(options: &FhirOptions) -> Result<Client, PortError> {
    const ACTION: &str = "setting up HTTP for a FHIR server";
    let mut builder = plain(options.connect_timeout).read_timeout(options.timeout);
    if let Some(pem) = &options.extra_roots_pem {
        builder = builder.tls_certs_merge(roots::read(pem)?);
    }
    if let Some(pem) = &options.identity_pem {
        let identity = Identity::from_pem(pem);
        let identity = identity.map_err(|error| {
            PortError::permanent(
                "reading the client certificate and its key for a FHIR server",
                error,
            )
        })?;
        builder = builder.identity(identity);
    }
    builder
        .build()
        .map_err(|error| PortError::permanent(ACTION, error))
}

fn plain(connect_timeout: Duration) -> ClientBuilder {
    // TLS needs a provider of cryptography; that another is set already is fine.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .tls_version_min(tls::Version::TLS_1_2)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(connect_timeout)
}
