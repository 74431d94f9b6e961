//! The hosts that an operator lets be at private addresses.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

use url::Host;

use crate::JwksHttpError;

/// Hosts as URLs write them: names in lower case and in ASCII, addresses as addresses.
#[derive(Debug, Default)]
pub(crate) struct PrivateHosts(HashSet<Host<String>>);

impl PrivateHosts {
    pub(crate) fn read(listed: &[String]) -> Result<Self, JwksHttpError> {
        let read = |text: &String| {
            // A bare IPv6 address has no brackets, which a host in a URL must have.
            if let Ok(address) = text.parse::<Ipv6Addr>() {
                return Ok(Host::Ipv6(address));
            }
            match Host::parse(text) {
                // A name to the parser, but whoever writes it means a pattern, and there are none.
                Ok(_) if text.contains('*') => Err(JwksHttpError::PrivateHost(text.clone())),
                Ok(host) => Ok(host),
                Err(_) => Err(JwksHttpError::PrivateHost(text.clone())),
            }
        };
        listed.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn have(&self, host: &Host<&str>) -> bool {
        self.0.contains(&host.to_owned())
    }

    /// For a name as the resolver gets it.
    pub(crate) fn have_name(&self, name: &str) -> bool {
        // A name that reads as an address is none, so it is never a listed name either.
        name.parse::<IpAddr>().is_err() && self.have(&Host::Domain(&name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listed: &[&str]) -> Result<PrivateHosts, JwksHttpError> {
        let listed: Vec<String> = listed.iter().map(|&host| host.to_owned()).collect();
        PrivateHosts::read(&listed)
    }

    #[test]
    fn they_are_compared_whole_and_without_case() {
        let hosts = hosts(&["IdP.Hospital.Example", "10.0.0.5", "fd00::5", "[fd00::6]"]).unwrap();
        assert!(hosts.have_name("idp.hospital.example"));
        assert!(hosts.have_name("IDP.HOSPITAL.EXAMPLE"));
        for other in [
            "hospital.example",
            "idp.hospital.example.",
            "idp.hospital.example.evil.example",
            "x.idp.hospital.example",
            "10.0.0.5",
        ] {
            assert!(!hosts.have_name(other), "{other}");
        }
        assert!(hosts.have(&Host::Ipv4([10, 0, 0, 5].into())));
        assert!(hosts.have(&Host::Ipv6("fd00::5".parse().unwrap())));
        assert!(hosts.have(&Host::Ipv6("fd00::6".parse().unwrap())));
        assert!(!hosts.have(&Host::Ipv6("::ffff:10.0.0.5".parse().unwrap())));
    }

    #[test]
    fn what_is_no_host_is_found_at_the_start() {
        for wrong in [
            "",
            "idp.example:8443",
            "https://idp.example",
            "idp.example/jwks",
            "*.example",
            "a b",
            "10.0.0.0/8",
        ] {
            match hosts(&[wrong]) {
                Err(JwksHttpError::PrivateHost(text)) => assert_eq!(text, wrong),
                other => panic!("{wrong:?} gave {other:?}"),
            }
        }
    }
}
