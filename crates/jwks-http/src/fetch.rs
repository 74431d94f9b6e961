//! The fetch itself: one GET, bounded in time and size.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING};
use reqwest::{Client, ClientBuilder, Response, StatusCode, redirect, retry, tls};
use sluice_ports::{FetchedKeys, KeyFetch, PortError};
use url::Url;

use crate::failure::{Failure, Refusal};
use crate::hosts::PrivateHosts;
use crate::life::life;
use crate::resolve::{Checked, Lookup, System};
use crate::{JwksHttpError, JwksHttpOptions, roots, target};

/// The largest body that is read, as the port says.
const MOST_BYTES: usize = 64 * 1024;

/// Fetches key sets over HTTPS. Clones share everything.
///
/// `Permanent` are what a rule forbids, a server that cannot show who it is, and every status that
/// will not pass by itself, 404 among them. `Transient` are trouble on the way, also with a name
/// that does not resolve, what takes too long, and the statuses 408, 425, 429 and 5xx.
#[derive(Clone)]
pub struct JwksHttp {
    http: Client,
    private: Arc<PrivateHosts>,
    timeout: Duration,
}

impl JwksHttp {
    /// Reads the options and the authorities. Nothing is fetched yet.
    pub fn new(options: JwksHttpOptions) -> Result<Self, JwksHttpError> {
        Self::with_lookup(options, Box::new(System))
    }

    fn with_lookup(
        options: JwksHttpOptions,
        lookup: Box<dyn Lookup>,
    ) -> Result<Self, JwksHttpError> {
        let private = Arc::new(PrivateHosts::read(&options.private_hosts)?);
        let mut builder = builder(options.connect_timeout)
            .dns_resolver(Arc::new(Checked::new(lookup, private.clone())));
        if let Some(pem) = options.extra_roots_pem {
            builder = builder.tls_certs_merge(roots::read(&pem)?);
        }
        let http = builder.build();
        Ok(Self {
            http: http.map_err(|error| JwksHttpError::Setup(error.into()))?,
            private,
            timeout: options.timeout,
        })
    }

    async fn get(&self, url: Url) -> Result<FetchedKeys, Failure> {
        let request = self.http.get(url).header(ACCEPT, "application/json");
        let request = request.header(ACCEPT_ENCODING, "identity");
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::status(response.status()));
        }
        let encoding = response.headers().get(CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            return Err(Refusal::Encoded.into());
        }
        let life = life(response.headers());
        let body = body(response).await?;
        Ok(FetchedKeys { body, life })
    }
}

/// A client that does nothing by itself: it follows nothing, keeps nothing, unpacks nothing, tries
/// nothing twice and asks no proxy.
fn builder(connect_timeout: Duration) -> ClientBuilder {
    // TLS needs a provider of cryptography; that another is set already is fine.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .tls_version_min(tls::Version::TLS_1_2)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .no_gzip()
        .referer(false)
        // A connection that is kept would outlive what its name was checked for.
        .pool_max_idle_per_host(0)
        .connect_timeout(connect_timeout)
}

/// The body, given up as soon as it is too large, which its header may already say.
async fn body(mut response: Response) -> Result<Bytes, Failure> {
    let announced = response.content_length();
    if announced.is_some_and(|bytes| bytes > MOST_BYTES as u64) {
        return Err(Refusal::TooLarge.into());
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > MOST_BYTES {
            return Err(Refusal::TooLarge.into());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

#[async_trait]
impl KeyFetch for JwksHttp {
    async fn fetch(&self, url: &str) -> Result<FetchedKeys, PortError> {
        let url = Url::parse(url).map_err(|error| {
            Failure::from(Refusal::NotAUrl(error)).during("fetching a key set".to_owned())
        })?;
        // The host alone: a query may hold secrets.
        let host = url.host_str().unwrap_or("no host");
        let action = format!("fetching the key set at {host}");
        if let Err(refusal) = target::check(&url, &self.private) {
            return Err(Failure::from(refusal).during(action));
        }
        match tokio::time::timeout(self.timeout, self.get(url)).await {
            Ok(fetched) => fetched.map_err(|failure| failure.during(action)),
            Err(_) => Err(Failure::TimedOut.during(action)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::future::BoxFuture;
    use sluice_ports::PortKind;

    use super::*;

    /// Public by the rules, but of a range that nobody has, so that nothing is reached.
    const NOBODY: &str = "2d00::1";
    const SHORT: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_mins(1);

    /// A name server whose every answer is another, and which remembers who asked.
    #[derive(Clone, Default)]
    struct Flipping {
        answers: Arc<Mutex<VecDeque<Vec<SocketAddr>>>>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Flipping {
        fn with(answers: &[&[&str]]) -> Self {
            let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
            let addresses = |texts: &&[&str]| texts.iter().map(address).collect();
            let flipping = Self::default();
            *flipping.answers.lock().unwrap() = answers.iter().map(addresses).collect();
            flipping
        }

        fn asked(&self) -> Vec<String> {
            self.asked.lock().unwrap().clone()
        }
    }

    impl Lookup for Flipping {
        fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            self.asked.lock().unwrap().push(name);
            let answer = self.answers.lock().unwrap().pop_front();
            async move { answer.ok_or_else(|| io::Error::other("asked too often")) }.boxed()
        }
    }

    fn fetching(dns: &Flipping, private: &[&str], timeout: Duration) -> JwksHttp {
        let authority = rcgen::generate_simple_self_signed(vec!["other.example".to_owned()]);
        let options = JwksHttpOptions {
            private_hosts: private.iter().map(|&host| host.to_owned()).collect(),
            // So that it works where the system has no authorities.
            extra_roots_pem: Some(authority.unwrap().cert.pem().into_bytes()),
            timeout,
            connect_timeout: timeout,
        };
        JwksHttp::with_lookup(options, Box::new(dns.clone())).unwrap()
    }

    /// A port of this machine that must stay untouched, or not.
    struct Inside(TcpListener);

    impl Inside {
        fn open() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            Self(listener)
        }

        fn url(&self, host: &str) -> String {
            let port = self.0.local_addr().unwrap().port();
            format!("https://{host}:{port}/jwks?token=hush")
        }

        /// Whether anyone connected; the connection waits even if nobody took it.
        fn touched(&self) -> bool {
            self.0.accept().is_ok()
        }
    }

    #[tokio::test]
    async fn a_name_that_flips_gains_nothing() {
        let inside = Inside::open();
        let url = inside.url("evil.example");
        // Public when it is checked, ours when it is asked again: it is not asked again.
        let dns = Flipping::with(&[&[NOBODY], &["127.0.0.1"]]);
        let http = fetching(&dns, &[], SHORT);
        let error = http.fetch(&url).await.unwrap_err();
        assert!(error.is_transient(), "{}", error.chain());
        assert_eq!(dns.asked(), ["evil.example"]);
        assert!(!inside.touched());

        // The next fetch asks anew, and is told the other address.
        let error = http.fetch(&url).await.unwrap_err();
        assert_eq!(error.kind, PortKind::Permanent, "{}", error.chain());
        assert!(error.chain().contains("127.0.0.1"), "{}", error.chain());
        assert_eq!(dns.asked().len(), 2);
        assert!(!inside.touched());
    }

    #[tokio::test]
    async fn one_bad_address_among_good_ones_spoils_all() {
        let inside = Inside::open();
        let bad: [&[&str]; 5] = [
            &[NOBODY, "127.0.0.1"],
            &["127.0.0.1", NOBODY],
            &["::ffff:127.0.0.1"],
            &["169.254.169.254"],
            &["fd00:ec2::254"],
        ];
        let dns = Flipping::with(&bad);
        let http = fetching(&dns, &["other.example"], SHORT);
        for answer in bad {
            let error = http.fetch(&inside.url("evil.example")).await.unwrap_err();
            assert_eq!(error.kind, PortKind::Permanent, "{answer:?}");
            assert!(error.chain().contains("not public"), "{}", error.chain());
            assert!(!error.chain().contains("hush"), "{}", error.chain());
        }
        assert_eq!(dns.asked().len(), 5);
        assert!(!inside.touched());
    }

    #[tokio::test]
    async fn the_connection_goes_where_the_name_was_found_to_lead() {
        let inside = Inside::open();
        let dns = Flipping::with(&[&["127.0.0.1"], &["127.0.0.1"]]);
        let http = fetching(&dns, &["Keys.Hospital.Example"], LONG);
        let url = inside.url("keys.hospital.example");
        let listener = inside.0.try_clone().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let connected = tokio::select! {
            _ = listener.accept() => true,
            _ = http.fetch(&url) => false,
        };
        assert!(connected);
        assert_eq!(dns.asked(), ["keys.hospital.example"]);

        // Unlike its neighbours.
        http.fetch(&inside.url("hospital.example"))
            .await
            .unwrap_err();
        assert!(!inside.touched());
    }

    #[tokio::test]
    async fn addresses_and_local_names_are_refused_before_anyone_is_asked() {
        let inside = Inside::open();
        let dns = Flipping::default();
        let http = fetching(&dns, &[], SHORT);
        let hosts = ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"];
        for host in hosts.into_iter().chain(["localhost", "localhost."]) {
            let error = http.fetch(&inside.url(host)).await.unwrap_err();
            assert_eq!(error.kind, PortKind::Permanent, "{host}");
        }
        assert!(dns.asked().is_empty());
        assert!(!inside.touched());
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_may_do_so_later() {
        let http = fetching(&Flipping::with(&[&[]]), &[], SHORT);
        for _ in 0..2 {
            let error = http.fetch("https://keys.example/?token=hush").await;
            let error = error.unwrap_err();
            assert!(error.is_transient(), "{}", error.chain());
            assert!(error.chain().contains("keys.example"), "{}", error.chain());
            assert!(!error.chain().contains("hush"), "{}", error.chain());
        }
    }
}
