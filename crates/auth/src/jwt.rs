//! What all JWTs here have in common: three parts, a header without surprises, typed claims.
//!
//! The signature is checked by jsonwebtoken; claims are read here, because that library takes the
//! time from the system and accepts more shapes than are wanted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest JWT that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;
/// The longest `kid`, and the longest of other names in claims.
pub(crate) const LONGEST_NAME: usize = 256;

/// A JWT that is cut into its parts; nothing of it is proven.
pub(crate) struct Unproven<'t> {
    pub(crate) header: Header,
    message: &'t str,
    payload: &'t str,
    signature: &'t str,
}

/// Members of a JOSE header. Those that would name a key by themselves are not even read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) typ: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b64: Option<Value>,
}

impl<'t> Unproven<'t> {
    /// Cuts a compact JWS; `None` when it is none, or demands what is not implemented.
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        if payload.contains('.') {
            return None;
        }
        let header: Header = json(header)?;
        let known = header.crit.is_none() && header.b64.is_none();
        let short =
            |name: &Option<String>| name.as_ref().is_none_or(|name| name.len() <= LONGEST_NAME);
        (known && short(&header.kid)).then_some(Self {
            header,
            message,
            payload,
            signature,
        })
    }

    /// Its claims, which anyone may have made up.
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        json(self.payload)
    }

    /// Whether the key made the signature. The algorithm is the key's, never the header's.
    pub(crate) fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        let message = self.message.as_bytes();
        jsonwebtoken::crypto::verify(self.signature, message, key, algorithm).unwrap_or(false)
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A claim that may stand alone or in a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// Whether it is this text and nothing else.
    pub(crate) fn is_only(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => matches!(many.as_slice(), [one] if one == wanted),
        }
    }

    /// Whether this text is among it.
    pub(crate) fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }

    /// Its texts with a space between them.
    pub(crate) fn joined(&self) -> String {
        match self {
            Self::One(one) => one.clone(),
            Self::Many(many) => many.join(" "),
        }
    }
}

/// Who says to have issued a JWT; nothing proves it yet.
pub fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    let claims: Claims = Unproven::read(token)?.claims()?;
    (claims.iss.len() <= 2 * LONGEST_NAME).then_some(claims.iss)
}
