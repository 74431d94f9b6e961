//! Why a fetch failed, and whether another try may help.

use std::error::Error;
use std::io;
use std::net::IpAddr;

use reqwest::StatusCode;
use sluice_ports::PortError;

/// A rule that forbids it. Never shows more of the URL than its host's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this is no URL: {0}")]
    NotAUrl(url::ParseError),
    #[error("the URL must begin with https://")]
    NotHttps,
    #[error("the URL must not hold a user name or a password")]
    UserInfo,
    #[error("the URL names port 0")]
    PortZero,
    #[error("the URL names no host")]
    NoHost,
    #[error("the host is this machine, and it is not among the private hosts")]
    Local,
    #[error(
        "the address {address} is not public ({what}), and the host is not among the private hosts"
    )]
    NotPublic { address: IpAddr, what: &'static str },
    #[error("the server redirects (status {0}), which is not followed; register the URL itself")]
    Redirect(u16),
    #[error("the server answered with status {0}")]
    Status(u16),
    #[error("the body is encoded, which was not asked for")]
    Encoded,
    #[error("the body is larger than 64 KiB")]
    TooLarge,
}

/// Why a fetch failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// By a rule.
    Refused(Refusal),
    /// A status that says that it may pass.
    Busy(StatusCode),
    /// The server does not speak TLS as it must, or cannot show who it is.
    Untrusted(reqwest::Error),
    /// On the way.
    Network(reqwest::Error),
    /// It took too long.
    TimedOut,
}

impl Failure {
    /// The port's error. Causes name neither the URL's path nor its query.
    pub(crate) fn during(self, action: String) -> PortError {
        match self {
            Self::Refused(refusal) => PortError::permanent(action, refusal),
            Self::Untrusted(error) => PortError::permanent(action, error),
            Self::Busy(status) => PortError::transient(action, Refusal::Status(status.as_u16())),
            Self::Network(error) => PortError::transient(action, error),
            Self::TimedOut => PortError::transient(action, "it took too long"),
        }
    }

    /// What a status other than 200 means. A 404 is permanent: somebody has to correct the URL or
    /// the server, and the next fetch asks anew in any case.
    pub(crate) fn status(status: StatusCode) -> Self {
        match status.as_u16() {
            408 | 425 | 429 | 500..=599 => Self::Busy(status),
            code @ 300..=399 => Self::Refused(Refusal::Redirect(code)),
            code => Self::Refused(Refusal::Status(code)),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // It would show the URL's query otherwise.
        let error = error.without_url();
        if let Some(refusal) = cause::<Refusal>(&error) {
            return Self::Refused(refusal.clone());
        }
        match cause::<rustls::Error>(&error) {
            Some(
                rustls::Error::InvalidCertificate(_)
                | rustls::Error::InvalidMessage(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::PeerIncompatible(_),
            ) => Self::Untrusted(error),
            _ => Self::Network(error),
        }
    }
}

/// Finds a cause by its type.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error passes over what it holds and names the cause of that instead.
        current = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|held| held as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
