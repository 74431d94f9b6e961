//! How a token request or an access token is refused.

use std::fmt;

/// The error codes of RFC 6749 section 5.2 that a token endpoint for backend services has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthCode {
    /// A parameter is missing, doubled or malformed.
    InvalidRequest,
    /// The client is not who it says.
    InvalidClient,
    /// Not `client_credentials`.
    UnsupportedGrantType,
    /// Nothing of what was asked may be granted.
    InvalidScope,
}

impl OAuthCode {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
    ];

    /// As it stands in an answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }
}

impl fmt::Display for OAuthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refused token request. The reason is one of a few fixed texts, so that nothing a caller sent is
/// ever repeated or logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Refusal {
    /// The code.
    pub code: OAuthCode,
    /// What is wrong and what would do.
    pub reason: &'static str,
}

impl Refusal {
    /// The request itself is wrong.
    pub const fn request(reason: &'static str) -> Self {
        Self {
            code: OAuthCode::InvalidRequest,
            reason,
        }
    }

    /// The client did not prove who it is.
    pub const fn client(reason: &'static str) -> Self {
        Self {
            code: OAuthCode::InvalidClient,
            reason,
        }
    }

    /// The same words whether the client, its key or its signature is wrong, so that nobody learns
    /// which clients there are.
    pub const UNPROVEN: Self = Self::client(
        "the client is not known, is disabled, or none of its registered keys made this signature",
    );

    /// An assertion works once.
    pub const REPLAYED: Self = Self::client(
        "this assertion was used before; sign a new one with a new jti for each request",
    );

    /// Nothing is left of the scopes asked for.
    pub const NO_SCOPE: Self = Self {
        code: OAuthCode::InvalidScope,
        reason: "none of the scopes asked for is registered for this client; \
            ask the operator which are",
    };
}

/// Why an access token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of an issuer that is trusted here, or not for this server.
    #[error("the access token is not one for this server; get one from its token endpoint")]
    Invalid,
    /// Its time is up.
    #[error("the access token has expired; get a new one from the token endpoint")]
    Expired,
}
