//! The keys that sign access tokens: made from one secret and the time, so that any number of
//! gateways has the same ones without telling each other, and each retires by itself (ADR 0016).

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use sluice_model::TenantId;

/// The fewest bytes of a secret.
const FEWEST: usize = 32;
/// An `ECPrivateKey` (RFC 5915) on P-384 is this, the 48 bytes of the number, and the curve.
const BEFORE: [u8; 7] = [0x30, 0x3e, 0x02, 0x01, 0x01, 0x04, 0x30];
const CURVE: [u8; 9] = [0xa0, 0x07, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// What all gateways of a deployment share.
#[derive(Clone)]
pub struct KeySecret(Vec<u8>);

/// Too short, or no key could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSigningKey {
    /// The secret could be guessed.
    #[error("the secret must have at least 32 bytes, such as `openssl rand -base64 32` gives")]
    TooShort,
    /// The cryptographic library refused.
    #[error("no signing key could be made")]
    Refused,
}

impl KeySecret {
    /// From bytes that nobody can guess.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, NoSigningKey> {
        let bytes = bytes.into();
        if bytes.len() < FEWEST {
            return Err(NoSigningKey::TooShort);
        }
        Ok(Self(bytes))
    }

    fn mac(&self, text: &str) -> Option<[u8; 64]> {
        let mut mac = Hmac::<Sha512>::new_from_slice(&self.0).ok()?;
        mac.update(text.as_bytes());
        Some(mac.finalize().into_bytes().into())
    }
}

/// The keys of a tenant at one time: that of the last period, of this one, which signs, and of the
/// next, which is published before it is used.
pub struct SigningKeys {
    period: i64,
    kid: String,
    encoding: EncodingKey,
    public: Vec<Public>,
}

struct Public {
    kid: String,
    key: DecodingKey,
    jwk: Value,
}

impl SigningKeys {
    /// The keys at a time; a period has so many seconds. Later secrets only verify: they are what
    /// the first replaced.
    pub fn at(
        secrets: &[KeySecret],
        tenant: &TenantId,
        period: i64,
        now: i64,
    ) -> Result<Self, NoSigningKey> {
        let current = now.div_euclid(period.max(1));
        let mut signing = None;
        let mut public = Vec::new();
        for (at, secret) in secrets.iter().enumerate() {
            for number in [current - 1, current, current + 1] {
                let pair = pair(secret, tenant, number)?;
                let half = Public::of(&pair);
                if at == 0 && number == current {
                    let private = pair.to_pkcs8v1().map_err(|_| NoSigningKey::Refused)?;
                    let encoding = EncodingKey::from_ec_der(private.as_ref());
                    signing = Some((half.kid.clone(), encoding));
                }
                public.push(half);
            }
        }
        let (kid, encoding) = signing.ok_or(NoSigningKey::TooShort)?;
        Ok(Self {
            period: current,
            kid,
            encoding,
            public,
        })
    }

    /// Whether these are still the keys to use.
    pub fn are_current(&self, period: i64, now: i64) -> bool {
        self.period == now.div_euclid(period.max(1))
    }

    /// The public halves, for who wants to check tokens.
    pub fn jwks(&self) -> Value {
        let keys: Vec<&Value> = self.public.iter().map(|key| &key.jwk).collect();
        json!({ "keys": keys })
    }

    pub(crate) fn public(&self, kid: &str) -> Option<&DecodingKey> {
        let found = self.public.iter().find(|key| key.kid == kid);
        found.map(|key| &key.key)
    }

    pub(crate) fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, NoSigningKey> {
        let mut header = jsonwebtoken::Header::new(Algorithm::ES384);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(|_| NoSigningKey::Refused)
    }
}

/// One number in 2^190 is none of the curve's; then the next is tried.
fn pair(secret: &KeySecret, tenant: &TenantId, period: i64) -> Result<EcdsaKeyPair, NoSigningKey> {
    for tried in 0..4 {
        let text = format!("sluice access token key 1\n{tenant}\n{period}\n{tried}");
        let mac = secret.mac(&text).ok_or(NoSigningKey::Refused)?;
        let der = [&BEFORE[..], &mac[..48], &CURVE].concat();
        let made = EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, &der);
        if let Ok(pair) = made {
            return Ok(pair);
        }
    }
    Err(NoSigningKey::Refused)
}

impl Public {
    fn of(pair: &EcdsaKeyPair) -> Self {
        let point = pair.public_key().as_ref();
        let half = |range: std::ops::Range<usize>| {
            URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default())
        };
        let kid = hex::encode(&Sha256::digest(point)[..8]);
        let jwk = json!({
            "kty": "EC", "crv": "P-384", "use": "sig", "alg": "ES384", "kid": kid,
            "x": half(1..49), "y": half(49..97),
        });
        Self {
            kid,
            key: DecodingKey::from_ec_der(point),
            jwk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessToken, Jwks, Scopes, TokenError, TokenUse};

    fn keys(secrets: &[KeySecret], now: i64) -> SigningKeys {
        SigningKeys::at(secrets, &"default".parse().unwrap(), 1_000, now).unwrap()
    }

    fn secret(byte: u8) -> KeySecret {
        KeySecret::new([byte; 32]).unwrap()
    }

    fn what(now: i64) -> TokenUse<'static> {
        TokenUse {
            issuer: "https://h/default/oauth2",
            audience: "https://h/default/fhir",
            now,
        }
    }

    fn token(keys: &SigningKeys, now: i64) -> String {
        let token = AccessToken {
            client: "etl-7".parse().unwrap(),
            scopes: Scopes::lenient("system/*.rs"),
            jti: "j".to_owned(),
        };
        token.issue(keys, what(now), 300).unwrap().token
    }

    #[test]
    fn gateways_that_share_a_secret_know_each_others_tokens() {
        let (one, other) = (keys(&[secret(1)], 5_500), keys(&[secret(1)], 5_501));
        let (read, until) = AccessToken::read(&token(&one, 5_500), &other, what(5_501)).unwrap();
        assert_eq!(until, 5_800);
        assert_eq!(read.client.as_str(), "etl-7");
        assert_eq!(read.scopes.to_string(), "system/*.rs");
        let stranger = keys(&[secret(2)], 5_500);
        let refused = AccessToken::read(&token(&one, 5_500), &stranger, what(5_500));
        assert_eq!(refused, Err(TokenError::Invalid));
    }

    #[test]
    fn keys_rotate_with_overlap() {
        let before = keys(&[secret(1)], 5_999);
        let after = keys(&[secret(1)], 6_000);
        assert!(before.are_current(1_000, 5_999) && !before.are_current(1_000, 6_000));
        assert_ne!(before.kid, after.kid);
        assert!(
            before.public(&after.kid).is_some(),
            "published before it is used"
        );
        let old = token(&before, 5_999);
        assert!(AccessToken::read(&old, &after, what(6_100)).is_ok());
        assert_eq!(
            AccessToken::read(&old, &after, what(6_299)),
            Err(TokenError::Expired)
        );
        let long_after = keys(&[secret(1)], 7_000);
        assert_eq!(
            AccessToken::read(&old, &long_after, what(6_100)),
            Err(TokenError::Invalid)
        );
        assert_eq!(before.jwks()["keys"].as_array().unwrap().len(), 3);
        Jwks::registered(before.jwks().to_string().as_bytes()).unwrap();
    }

    #[test]
    fn a_secret_is_replaced_with_overlap_too() {
        let old = token(&keys(&[secret(1)], 5_500), 5_500);
        let both = keys(&[secret(2), secret(1)], 5_501);
        assert!(AccessToken::read(&old, &both, what(5_501)).is_ok());
        let new = token(&both, 5_501);
        assert!(AccessToken::read(&new, &keys(&[secret(2)], 5_502), what(5_502)).is_ok());
        assert!(KeySecret::new(b"short".to_vec()).is_err());
    }

    #[test]
    fn a_tenant_has_its_own_keys_and_a_token_is_for_one_base() {
        let keys = keys(&[secret(1)], 0);
        let other = SigningKeys::at(&[secret(1)], &"other".parse().unwrap(), 1_000, 0).unwrap();
        assert_ne!(keys.kid, other.kid);
        let elsewhere = TokenUse {
            audience: "https://h/other/fhir",
            ..what(1)
        };
        let refused = AccessToken::read(&token(&keys, 0), &keys, elsewhere);
        assert_eq!(refused, Err(TokenError::Invalid));
    }
}
