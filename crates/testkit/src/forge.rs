//! JWTs of any shape, good or forged, and the key sets that go with them.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Signs whatever it is given. What fails in here fails the test.
pub enum Forger {
    /// ES384.
    P384(EcdsaKeyPair),
    /// ES256.
    P256(EcdsaKeyPair),
    /// RS384, or RS256 where the header says so.
    Rsa(Box<RsaKeyPair>),
    /// HS384, with what should be no secret.
    Hmac(Vec<u8>),
    /// No signature.
    Nothing,
}

/// Base64url without padding.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "for tests only, and a failure here is a failure of the test"
)]
impl Forger {
    /// A new key on P-384.
    pub fn es384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
    }

    /// A new key on P-256.
    pub fn es256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    /// A new RSA key of 2048 bits.
    pub fn rs384() -> Self {
        Self::Rsa(Box::new(
            RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
        ))
    }

    /// Its public half as a JWK; `null` where there is none.
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::P384(pair) => ec_jwk(pair, "P-384", kid),
            Self::P256(pair) => ec_jwk(pair, "P-256", kid),
            Self::Rsa(pair) => {
                // RSAPublicKey: a sequence of n (257 bytes with its sign) and e (65537).
                let n = pair.public_key().as_ref().get(9..265).unwrap_or_default();
                json!({ "kty": "RSA", "kid": kid, "n": base64url(n), "e": "AQAB" })
            }
            Self::Hmac(_) | Self::Nothing => Value::Null,
        }
    }

    /// Its public half as a set of one.
    pub fn jwks(&self, kid: &str) -> Value {
        json!({ "keys": [self.jwk(kid)] })
    }

    /// A compact JWS of exactly this header and these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let signature = self.signature(header, message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }

    fn signature(&self, header: &Value, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P384(pair) | Self::P256(pair) => pair
                .sign(&random, message)
                .expect("a signature")
                .as_ref()
                .to_vec(),
            Self::Rsa(pair) => {
                let how: &dyn RsaEncoding = match header.get("alg").and_then(Value::as_str) {
                    Some("RS256") => &RSA_PKCS1_SHA256,
                    _ => &RSA_PKCS1_SHA384,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(how, &random, message, &mut signature)
                    .expect("a signature");
                signature
            }
            Self::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA384, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Nothing => Vec::new(),
        }
    }
}

fn ec_jwk(pair: &EcdsaKeyPair, curve: &str, kid: &str) -> Value {
    let point = pair.public_key().as_ref();
    let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "kid": kid, "x": base64url(x), "y": base64url(y) })
}
