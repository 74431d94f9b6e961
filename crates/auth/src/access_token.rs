//! Access tokens: JWTs of type `at+jwt` (RFC 9068) for one FHIR base, signed with a key of this
//! server's.

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

use crate::jwt::{OneOrMany, Unproven};
use crate::{ClientId, LONGEST, NoSigningKey, Scopes, SigningKeys, TokenError};

/// The type in the header, which no assertion has.
pub(crate) const TYPE: &str = "at+jwt";

/// Whose token it is and what for.
#[derive(Clone, Copy, Debug)]
pub struct TokenUse<'a> {
    /// Who issues it.
    pub issuer: &'a str,
    /// The FHIR base that it opens.
    pub audience: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// A token just made. It has no `Debug`, for it is a secret.
pub struct Issued {
    /// The token; a secret.
    pub token: String,
    /// For how long it is good, in seconds.
    pub life: i64,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Who holds it.
    pub client: ClientId,
    /// What it opens.
    pub scopes: Scopes,
    /// Its own name, for the audit.
    pub jti: String,
}

#[derive(Serialize)]
struct Made<'a> {
    iss: &'a str,
    sub: &'a str,
    client_id: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    scope: String,
}

#[derive(Deserialize)]
struct Read {
    iss: String,
    sub: String,
    client_id: String,
    aud: OneOrMany,
    exp: i64,
    jti: String,
    scope: String,
}

impl AccessToken {
    /// Signs a token for a client.
    pub fn issue(
        &self,
        keys: &SigningKeys,
        what: TokenUse<'_>,
        life: i64,
    ) -> Result<Issued, NoSigningKey> {
        let life = life.clamp(1, LONGEST);
        let claims = Made {
            iss: what.issuer,
            sub: self.client.as_str(),
            client_id: self.client.as_str(),
            aud: what.audience,
            iat: what.now,
            exp: what.now.saturating_add(life),
            jti: &self.jti,
            scope: self.scopes.to_string(),
        };
        let token = keys.sign(TYPE, &claims)?;
        Ok(Issued { token, life })
    }

    /// Reads a token of this server's own; says also until when it is good, in seconds since 1970.
    pub fn read(
        text: &str,
        keys: &SigningKeys,
        what: TokenUse<'_>,
    ) -> Result<(Self, i64), TokenError> {
        let unproven = Unproven::read(text).ok_or(TokenError::Invalid)?;
        let header = &unproven.header;
        let typed = header.typ.as_deref() == Some(TYPE) && header.alg == "ES384";
        let key = header.kid.as_deref().and_then(|kid| keys.public(kid));
        let proven = typed && key.is_some_and(|key| unproven.is_signed_by(key, Algorithm::ES384));
        let claims = proven.then(|| unproven.claims::<Read>()).flatten();
        let claims = claims.ok_or(TokenError::Invalid)?;
        let ours = claims.iss == what.issuer
            && claims.aud.is_only(what.audience)
            && claims.sub == claims.client_id;
        let client = claims.client_id.parse().ok().filter(|_| ours);
        let client = client.ok_or(TokenError::Invalid)?;
        // No leeway: it is this server's own time, and a client is told how long a token is good.
        if claims.exp <= what.now {
            return Err(TokenError::Expired);
        }
        let token = Self {
            client,
            scopes: Scopes::lenient(&claims.scope),
            jti: claims.jti,
        };
        Ok((token, claims.exp))
    }
}
