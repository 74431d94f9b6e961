//! Why a request failed, and whether another try may help. Nothing of a body, a query or a token is
//! ever in it.

use std::error::Error;

use sluice_ports::PortError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A status that will not pass by itself.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// A status that may pass, after all tries.
    #[error("the server answers with status {0}")]
    Busy(u16),
    /// Trouble on the way, after all tries.
    #[error("the connection failed")]
    Network(#[source] Box<dyn Error + Send + Sync>),
    /// No whole answer in time, after all tries.
    #[error("it took too long")]
    TimedOut,
    /// More than may be read.
    #[error("the answer is larger than fhir.max_body_mib allows")]
    TooLarge,
    /// Something else than was asked for.
    #[error("the answer is {0}")]
    Nonsense(&'static str),
    /// No token could be had.
    #[error("{0}")]
    Login(String),
    /// What must not be followed.
    #[error("{0}")]
    Refused(&'static str),
    /// Somebody else's failure.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl Failure {
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Network(_) | Self::TimedOut | Self::Nonsense(_)
        )
    }

    /// Says what was tried.
    pub(crate) fn during(self, action: impl Into<String>) -> PortError {
        match self {
            Self::Port(error) => error,
            failure if failure.may_pass() => PortError::transient(action, failure),
            failure => PortError::permanent(action, failure),
        }
    }

    /// Whether the server has no such thing, or does not do this.
    pub(crate) fn is_no(&self) -> bool {
        matches!(
            self,
            Self::Status(400 | 404 | 405 | 410 | 413..=415 | 422 | 501)
        )
    }

    /// Whether what was asked for is not there (any more).
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Status(404 | 410))
    }
}
