//! Names are resolved here, once a fetch: what is checked is what is connected to, so that a name
//! whose answer changes in between gains nothing.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::not_public;
use crate::failure::Refusal;
use crate::hosts::PrivateHosts;

/// Asks for the addresses of a name; their ports are 0. Tests have their own.
pub(crate) trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver.
pub(crate) struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed()
    }
}

/// Resolves names for connections, and lets only public addresses out.
pub(crate) struct Checked {
    lookup: Box<dyn Lookup>,
    private: Arc<PrivateHosts>,
}

impl Checked {
    pub(crate) fn new(lookup: Box<dyn Lookup>, private: Arc<PrivateHosts>) -> Self {
        Self { lookup, private }
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let looking = self.lookup.lookup(name.as_str().to_owned());
        let private = self.private.have_name(name.as_str());
        async move {
            let found = check(looking.await?, private)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        }
        .boxed()
    }
}

/// One bad address spoils all: who mixes them either means harm or forgot to list a private host.
fn check(
    found: Vec<SocketAddr>,
    private: bool,
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    if found.is_empty() {
        return Err(io::Error::other("the name has no address").into());
    }
    if !private {
        for address in found.iter().map(SocketAddr::ip) {
            if let Some(what) = not_public(address) {
                return Err(Refusal::NotPublic { address, what }.into());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// Answers with the same addresses to whoever asks.
    struct Fixed(&'static [&'static str]);

    impl Lookup for Fixed {
        fn lookup(&self, _name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
            let found = self.0.iter().map(address).collect();
            async move { Ok(found) }.boxed()
        }
    }

    async fn resolve(name: &str, answer: &'static [&'static str]) -> Result<Vec<IpAddr>, String> {
        let private = PrivateHosts::read(&["Inside.Example".to_owned()]).unwrap();
        let checked = Checked::new(Box::new(Fixed(answer)), Arc::new(private));
        match checked.resolve(name.parse().unwrap()).await {
            Ok(found) => Ok(found.map(|address| address.ip()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn only_public_addresses_come_out() {
        let both: &[&str] = &["8.8.8.8", "2606:4700:4700::1111"];
        let found = resolve("keys.example", both).await.unwrap();
        assert_eq!(found.len(), 2);
        for spoiled in [
            &["127.0.0.1"] as &[&str],
            &["8.8.8.8", "10.0.0.1"],
            &["::ffff:8.8.8.8"],
            &["2606:4700:4700::1111", "8.8.8.8", "fd00::1"],
        ] {
            let error = resolve("keys.example", spoiled).await.unwrap_err();
            assert!(error.contains("not public"), "{error}");
        }
        let error = resolve("keys.example", &[]).await.unwrap_err();
        assert!(error.contains("no address"), "{error}");
    }

    #[tokio::test]
    async fn a_listed_name_may_lead_anywhere_and_no_other_may() {
        let answer: &[&str] = &["10.0.0.1", "8.8.8.8"];
        assert_eq!(resolve("inside.example", answer).await.unwrap().len(), 2);
        for other in ["inside.example.", "x.inside.example", "example"] {
            assert!(resolve(other, answer).await.is_err(), "{other}");
        }
    }
}
