//! Which URLs may be fetched at all, as far as their text tells.

use url::{Host, Url};

use crate::address::not_public;
use crate::failure::Refusal;
use crate::hosts::PrivateHosts;

/// Refuses what leads astray. An address in the host is judged here, since nobody resolves it; a
/// name is judged by what it resolves to, in [`crate::resolve`].
pub(crate) fn check(url: &Url, private: &PrivateHosts) -> Result<(), Refusal> {
    if url.scheme() != "https" {
        return Err(Refusal::NotHttps);
    }
    // `https://trusted.example@evil.example/` reads as what it is not.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::UserInfo);
    }
    if url.port() == Some(0) {
        return Err(Refusal::PortZero);
    }
    let host = url.host().ok_or(Refusal::NoHost)?;
    if private.have(&host) {
        return Ok(());
    }
    let address = match host {
        Host::Domain(name) if is_local(name) => return Err(Refusal::Local),
        Host::Domain(_) => return Ok(()),
        Host::Ipv4(address) => address.into(),
        Host::Ipv6(address) => address.into(),
    };
    match not_public(address) {
        Some(what) => Err(Refusal::NotPublic { address, what }),
        None => Ok(()),
    }
}

/// Names that mean this machine whatever a resolver says (RFC 6761).
fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str, listed: &[&str]) -> Result<(), String> {
        let listed: Vec<String> = listed.iter().map(|&host| host.to_owned()).collect();
        let private = PrivateHosts::read(&listed).unwrap();
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        check(&url, &private).map_err(|refusal| refusal.to_string())
    }

    /// What must never be fetched, and a word of why.
    const HOSTILE: [(&str, &str); 50] = [
        ("http://keys.example/jwks", "https"),
        ("ftp://keys.example/jwks", "https"),
        ("file:///etc/passwd", "https"),
        ("data:application/json,{}", "https"),
        ("", "relative URL"),
        ("keys.example/jwks", "relative URL"),
        ("//keys.example/jwks", "relative URL"),
        ("https://", "empty host"),
        ("https:///", "empty host"),
        ("https://:443/", "empty host"),
        ("https://keys.example:0/", "port"),
        ("https://keys.example:65536/", "port"),
        ("https://user@keys.example/", "user"),
        ("https://:secret@keys.example/", "user"),
        ("https://keys.example@127.0.0.1/", "user"),
        ("https://keys.example:443@[::1]/", "user"),
        ("https://keys.example%40127.0.0.1/", "domain name"),
        ("https://localhost/", "this machine"),
        ("https://LOCALHOST/", "this machine"),
        ("https://localhost./", "this machine"),
        ("https://a.localhost:8443/", "this machine"),
        ("https://ⓛocalhost/", "this machine"),
        ("https://127.0.0.1/", "loopback"),
        ("https://127.0.0.1./", "loopback"),
        ("https:\\\\127.0.0.1\\", "loopback"),
        ("https:127.0.0.1/", "loopback"),
        ("https://2130706433/", "loopback"),
        ("https://0x7f.1/", "loopback"),
        ("https://0x7f000001/", "loopback"),
        ("https://0177.0.0.01/", "loopback"),
        ("https://127.1/", "loopback"),
        ("https://%31%32%37.0.0.1/", "loopback"),
        ("https://①②⑦.⓪.⓪.①/", "loopback"),
        ("https://127。0。0。1/", "loopback"),
        ("https://0/", "this network"),
        ("https://169.254.169.254/latest/meta-data", "link-local"),
        ("https://0xa9fea9fe/", "link-local"),
        ("https://2852039166/", "link-local"),
        ("https://10.0.0.1/", "private"),
        ("https://012.0.0.1/", "private"),
        ("https://192.168.0.1:6443/", "private"),
        ("https://[::1]/", "loopback"),
        ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
        ("https://[::]/", "unspecified"),
        ("https://[::127.0.0.1]/", "IPv4-compatible"),
        ("https://[::ffff:169.254.169.254]/", "IPv4-mapped"),
        ("https://[::ffff:7f00:1]/", "IPv4-mapped"),
        ("https://[64:ff9b::a9fe:a9fe]/", "NAT64"),
        ("https://[2002:a9fe:a9fe::]/", "6to4"),
        ("https://[fd00:ec2::254]/", "private"),
    ];

    #[test]
    fn hostile_urls_are_refused() {
        for (url, why) in HOSTILE {
            let refusal = judge(url, &[]).unwrap_err();
            assert!(refusal.contains(why), "{url:?} was refused as: {refusal}");
        }
    }

    #[test]
    fn listing_a_host_lets_only_that_host_through() {
        for (url, why) in HOSTILE {
            let refusal = judge(url, &["keys.example", "10.0.0.2"]).unwrap_err();
            assert!(refusal.contains(why), "{url:?} was refused as: {refusal}");
        }
    }

    #[test]
    fn honest_urls_are_let_through() {
        for url in [
            "https://keys.example/jwks.json?v=1",
            "https://KEYS.example:8443/",
            "https://keys.example./",
            "https://localhost.example/",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]/",
        ] {
            assert_eq!(judge(url, &[]), Ok(()), "{url}");
        }
    }

    #[test]
    fn listed_hosts_are_spared_the_address_rules_alone() {
        let listed = ["LocalHost", "10.0.0.1", "::1"];
        for url in [
            "https://localhost:8443/jwks",
            "https://LOCALHOST/",
            "https://10.0.0.1/",
            "https://0x0a.1/",
            "https://[::1]/",
        ] {
            assert_eq!(judge(url, &listed), Ok(()), "{url}");
        }
        for url in [
            "http://localhost/",
            "https://user@localhost/",
            "https://localhost:0/",
            "https://localhost./",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert!(judge(url, &listed).is_err(), "{url}");
        }
    }
}
