//! Access tokens of an OAuth server that a hospital runs itself.

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::access_token::TYPE;
use crate::jwt::{LONGEST_NAME, OneOrMany, Unproven};
use crate::{AccessToken, Jwks, LEEWAY, Scopes, TokenError};

/// An OAuth server whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIssuer {
    /// What its tokens have as `iss`.
    pub issuer: String,
    /// What they must have among their `aud`.
    pub audience: String,
    /// The claim that names the client, as it is registered here.
    pub client_claim: String,
    /// The claim that holds the scopes: a text with spaces, or a list.
    pub scope_claim: String,
}

/// A token of such an issuer; unproven until [`External::prove`].
pub struct External<'t> {
    unproven: Unproven<'t>,
    algorithm: Algorithm,
    kid: String,
}

impl<'t> External<'t> {
    /// Checks the token's header.
    pub fn read(text: &'t str) -> Result<Self, TokenError> {
        let unproven = Unproven::read(text).ok_or(TokenError::Invalid)?;
        let header = &unproven.header;
        let algorithm = match header.alg.as_str() {
            "RS256" => Algorithm::RS256,
            "RS384" => Algorithm::RS384,
            "ES256" => Algorithm::ES256,
            "ES384" => Algorithm::ES384,
            _ => return Err(TokenError::Invalid),
        };
        let kinds = [TYPE, "application/at+jwt", "JWT"];
        let fits = |typ: &String| kinds.iter().any(|kind| typ.eq_ignore_ascii_case(kind));
        if !header.typ.as_ref().is_none_or(fits) {
            return Err(TokenError::Invalid);
        }
        let kid = header.kid.clone().ok_or(TokenError::Invalid)?;
        Ok(Self {
            unproven,
            algorithm,
            kid,
        })
    }

    /// The key it says to be signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the token says, if one of the issuer's keys made it for us; and until when it is good.
    pub fn prove(
        &self,
        issuer: &ExternalIssuer,
        keys: &Jwks,
        now: i64,
    ) -> Result<(AccessToken, i64), TokenError> {
        let key = keys.only(&self.kid, self.algorithm);
        let proven = key.is_some_and(|key| self.unproven.is_signed_by(key, self.algorithm));
        let claims = proven.then(|| self.unproven.claims::<Map<String, Value>>());
        let claims = claims.flatten().ok_or(TokenError::Invalid)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let many = |name: &str| -> Option<OneOrMany> {
            serde_json::from_value(claims.get(name)?.clone()).ok()
        };
        let for_us = many("aud").is_some_and(|aud| aud.contains(&issuer.audience));
        if text("iss") != Some(&issuer.issuer) || !for_us {
            return Err(TokenError::Invalid);
        }
        let seconds = |name: &str| claims.get(name).map(Value::as_i64);
        let expires = seconds("exp").flatten().ok_or(TokenError::Invalid)?;
        if expires <= now.saturating_sub(LEEWAY) {
            return Err(TokenError::Expired);
        }
        let begins = match seconds("nbf") {
            None => now,
            Some(begins) => begins.ok_or(TokenError::Invalid)?,
        };
        if begins > now.saturating_add(LEEWAY) {
            return Err(TokenError::Invalid);
        }
        let client = text(&issuer.client_claim).and_then(|name| name.parse().ok());
        let scope = many(&issuer.scope_claim).map(|scope| scope.joined());
        let token = AccessToken {
            client: client.ok_or(TokenError::Invalid)?,
            scopes: Scopes::lenient(&scope.unwrap_or_default()),
            jti: text("jti")
                .unwrap_or_default()
                .chars()
                .take(LONGEST_NAME)
                .collect(),
        };
        Ok((token, expires))
    }
}
