//! The HTTP client: its patience, where it lets itself be led, and answers of bounded size.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use url::{Host, Url};

use crate::ExportError;

/// How long a connection may take to come about, and an answer to begin.
const CONNECT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_mins(2);

/// A client that follows redirects by this policy.
pub(crate) fn client(redirects: Policy) -> Result<Client, ExportError> {
    // TLS needs a provider of cryptography; that another is set already is fine.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(redirects)
        .no_gzip()
        .build()
        .map_err(|error| ExportError::network("setting up HTTP", &error))
}

/// A few; and none to elsewhere while headers of the user's go along, since only known secrets are
/// taken off on the way.
pub(crate) fn redirects(server: &Url, with_headers: bool) -> Policy {
    let home = server.origin();
    Policy::custom(move |attempt| {
        if attempt.previous().len() > 5 {
            attempt.error("too many redirects")
        } else if with_headers && attempt.url().origin() != home {
            attempt.stop()
        } else {
            attempt.follow()
        }
    })
}

pub(crate) async fn send(action: &str, request: RequestBuilder) -> Result<Response, ExportError> {
    let sent = request.send().await;
    sent.map_err(|error| ExportError::network(action, &error))
}

/// The body, or as much of it as there is before the connection breaks or `most` bytes are exceeded.
pub(crate) async fn body(mut response: Response, most: usize) -> (Vec<u8>, Option<reqwest::Error>) {
    let mut body = Vec::new();
    while body.len() <= most {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return (body, Some(error)),
        }
    }
    (body, None)
}

/// Whether what is sent there stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
