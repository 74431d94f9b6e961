//! The other side of an assertion: the key with which a client of another server's signs one.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// Seconds that an assertion is good for; servers refuse more than 300.
const LIFE: i64 = 240;

/// A private key: RSA, which signs with RS384, or EC on P-384, which signs with ES384.
#[derive(Clone)]
pub struct AssertionKey {
    kid: String,
    algorithm: Algorithm,
    key: EncodingKey,
}

/// What an assertion says.
#[derive(Clone, Copy, Debug)]
pub struct AssertionClaims<'a> {
    /// The client's name at the other server.
    pub client: &'a str,
    /// The token endpoint's URL, to the letter.
    pub audience: &'a str,
    /// Seconds since 1970.
    pub now: i64,
    /// A name that no other assertion of the client has.
    pub jti: &'a str,
}

/// Why a key cannot sign. Nothing of the key is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no PEM private key, RSA or EC on P-384 (PKCS#8), without a password")]
pub struct InvalidAssertionKey;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
}

impl AssertionKey {
    /// Reads PEM and signs something, so that a wrong key is found early.
    pub fn from_pem(pem: &[u8], kid: &str) -> Result<Self, InvalidAssertionKey> {
        let rsa = EncodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS384, key));
        let found =
            rsa.or_else(|_| EncodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES384, key)));
        let (algorithm, key) = found.map_err(|_| InvalidAssertionKey)?;
        let key = Self {
            kid: kid.to_owned(),
            algorithm,
            key,
        };
        let nothing = AssertionClaims {
            client: "",
            audience: "",
            now: 0,
            jti: "",
        };
        key.sign(nothing).map(|_| key)
    }

    /// A signed assertion.
    pub fn sign(&self, claims: AssertionClaims<'_>) -> Result<String, InvalidAssertionKey> {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        let claims = Claims {
            iss: claims.client,
            sub: claims.client,
            aud: claims.audience,
            iat: claims.now,
            exp: claims.now + LIFE,
            jti: claims.jti,
        };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| InvalidAssertionKey)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    };
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use jsonwebtoken::jwk::Jwk;

    use super::*;
    use crate::{Assertion, Expected, Jwks};

    fn pem(der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    #[test]
    fn what_it_signs_is_an_assertion_as_this_server_takes_them() {
        let ec = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let ec = ec.to_pkcs8v1().unwrap();
        let rsa = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let rsa = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&rsa).unwrap();
        for (der, alg) in [(ec.as_ref(), "ES384"), (rsa.as_ref(), "RS384")] {
            let key = AssertionKey::from_pem(pem(der).as_bytes(), "k1").unwrap();
            let mut jwk =
                serde_json::to_value(Jwk::from_encoding_key(&key.key, key.algorithm).unwrap())
                    .unwrap();
            jwk["kid"] = "k1".into();
            jwk["alg"] = alg.into();
            jwk["key_ops"] = serde_json::json!(["verify"]);
            let keys = serde_json::json!({ "keys": [jwk] }).to_string();
            let signed = key.sign(AssertionClaims {
                client: "sluice",
                audience: "https://h/token",
                now: 5_000,
                jti: "j",
            });
            let signed = signed.unwrap();
            let expected = Expected {
                audience: "https://h/token",
                now: 5_001,
            };
            let read = Assertion::read(&signed, expected).unwrap();
            assert_eq!((read.client().as_str(), read.kid()), ("sluice", "k1"));
            read.prove(&Jwks::registered(keys.as_bytes()).unwrap())
                .unwrap();
        }
    }

    #[test]
    fn other_keys_are_refused_at_once() {
        let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let other = pem(other.to_pkcs8v1().unwrap().as_ref());
        for text in ["", "not PEM", other.as_str()] {
            assert!(AssertionKey::from_pem(text.as_bytes(), "k").is_err());
        }
    }
}
