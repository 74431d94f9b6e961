//! SMART Backend Services, no I/O: what a client's key set, assertion, scopes and access token must
//! be, and what an administrator registers of a client.
//!
//! Nothing here knows the time, the network or a store: callers bring `now`, key sets and the answer
//! to "was this seen before".

mod access_token;
mod assertion;
mod assertion_key;
mod client;
mod error;
mod issuer;
mod jwks;
mod jwt;
mod scope;
mod signing_keys;
mod token_form;

pub use access_token::{AccessToken, Issued, TokenUse};
pub use assertion::{Assertion, Expected};
pub use assertion_key::{AssertionClaims, AssertionKey, InvalidAssertionKey};
pub use client::{
    Client, ClientId, ClientLimits, InvalidClientId, KeySource, LevelName, Registration,
};
pub use error::{OAuthCode, Refusal, TokenError};
pub use issuer::{External, ExternalIssuer};
pub use jwks::{InvalidJwks, Jwks, MOST_BYTES};
pub use jwt::issuer_of;
pub use scope::{InvalidScope, Permissions, Scope, Scopes};
pub use signing_keys::{KeySecret, NoSigningKey, SigningKeys};
pub use token_form::TokenForm;

/// How far clocks may disagree, in seconds.
pub const LEEWAY: i64 = 30;
/// The longest life of an assertion and of an access token, in seconds.
pub const LONGEST: i64 = 300;
