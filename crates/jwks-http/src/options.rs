//! What a deployment says about fetching key sets, and what can be wrong with it.

use std::error::Error;
use std::time::Duration;

/// How key sets are fetched.
#[derive(Clone, Debug)]
pub struct JwksHttpOptions {
    /// Hosts that may be at private addresses: names as they stand in URLs, or addresses, without a
    /// port. They are compared whole, and case does not matter. Still by HTTPS only.
    pub private_hosts: Vec<String>,
    /// Certificates of authorities that are trusted beside those of the system; PEM.
    pub extra_roots_pem: Option<Vec<u8>>,
    /// For one fetch from its beginning to the last byte of the body.
    pub timeout: Duration,
    /// For the name, the connection and the TLS handshake together.
    pub connect_timeout: Duration,
}

impl Default for JwksHttpOptions {
    fn default() -> Self {
        Self {
            private_hosts: Vec::new(),
            extra_roots_pem: None,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
        }
    }
}

/// Why no key set can be fetched with such options.
#[derive(Debug, thiserror::Error)]
pub enum JwksHttpError {
    /// A private host is none.
    #[error(
        "{0:?} is no host; name hosts as they stand in URLs, without a scheme, a port or a path"
    )]
    PrivateHost(String),
    /// The extra authorities are not PEM.
    #[error("the certificates of the extra authorities are not PEM")]
    Pem(#[source] Box<dyn Error + Send + Sync>),
    /// The PEM holds no certificate.
    #[error("there is no certificate among the extra authorities; it must be a PEM CERTIFICATE")]
    NoCertificate,
    /// A certificate cannot be an authority's. The first is number 1.
    #[error("certificate {number} of the extra authorities cannot be used")]
    Certificate {
        /// Which, counted from 1.
        number: usize,
        /// Why.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// TLS could not be set up; most often the system has no authorities and none were given.
    #[error("setting up HTTPS")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}
