//! The private key with which a client says who it is: read from JWK, JWK Set or PEM, or made.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk as PublicJwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{ExportError, der};

/// Bytes of a coordinate and of the secret number on P-384.
const P384: usize = 48;
/// The fewest bytes of an RSA modulus.
const SHORTEST_RSA: usize = 256;
/// Object identifiers, as DER writes them.
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// Members of an RSA JWK in the order of PKCS#1.
const RSA_MEMBERS: [&str; 8] = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

/// Why a key cannot be used. Nothing of the key is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither JSON nor PEM, or without a private key.
    #[error("it holds no private key; a private JWK, a JWK Set with one, or PEM is needed")]
    NotAKey,
    /// A password protects it.
    #[error("it is encrypted; `openssl pkey -in FILE -out PLAIN` takes the password off")]
    Encrypted,
    /// Another kind of key.
    #[error("it is {0}; RSA keys of 2048 bits and more can be used, and EC keys on P-384")]
    Unsupported(String),
    /// Made for another algorithm.
    #[error("it is for {0:?}; an RSA key can be used for RS384, an EC key for ES384")]
    Algorithm(String),
    /// `use` or `key_ops` say so.
    #[error("its \"use\" or \"key_ops\" say that it is not for signing")]
    NotForSigning,
    /// A member of the JWK.
    #[error("its {0:?} is missing, or not base64url")]
    Member(&'static str),
    /// The parts do not belong together.
    #[error("it is damaged: its parts do not make a key")]
    Damaged,
    /// A set with more than one.
    #[error("it holds more than one private key for signing ({0}); say which by --key-id")]
    Ambiguous(String),
    /// A set without the one that is asked for.
    #[error("it holds no usable private key with the \"kid\" {0:?}")]
    NoSuchKey(String),
    /// The cryptographic library refused.
    #[error("the cryptographic library refused to work with it")]
    Refused,
}

/// A private key: RSA, which signs with RS384, or EC on P-384, which signs with ES384.
#[derive(Clone)]
pub struct PrivateKey {
    kid: String,
    algorithm: Algorithm,
    signing: EncodingKey,
    public: PublicJwk,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What matters of a JWK. Members are read one by one: an error of serde would show them.
struct Jwk<'v>(&'v Value);

impl PrivateKey {
    /// Makes a new one, on P-384. Its `kid` is its thumbprint (RFC 7638).
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING);
        Self::of_pair(&pair.map_err(|_| KeyError::Refused)?)
    }

    /// Reads a private JWK, a JWK Set, or PEM (PKCS#8, `RSA PRIVATE KEY`, `EC PRIVATE KEY`), none
    /// of them encrypted.
    ///
    /// `kid` picks a key of a set, and names any other; without it, the JWK's own is taken, or else
    /// the thumbprint. A set must have one key that signs, or one with this `kid`.
    pub fn parse(bytes: &[u8], kid: Option<&str>) -> Result<Self, KeyError> {
        let text = str::from_utf8(bytes).map_err(|_| KeyError::NotAKey)?;
        let mut key = if text.trim_start().starts_with('{') {
            let json: Value = serde_json::from_str(text).map_err(|_| KeyError::NotAKey)?;
            match json.get("keys").and_then(Value::as_array) {
                Some(keys) => Self::of_set(keys, kid)?,
                None => Self::of_jwk(&Jwk(&json))?,
            }
        } else {
            Self::of_pem(text)?
        };
        if let Some(kid) = kid {
            kid.clone_into(&mut key.kid);
        }
        Ok(key)
    }

    /// Reads a file as [`PrivateKey::parse`] does.
    pub fn read(path: &Path, kid: Option<&str>) -> Result<Self, ExportError> {
        let name = path.display();
        let bytes = std::fs::read(path).map_err(ExportError::local(format!("reading {name}")))?;
        Self::parse(&bytes, kid)
            .map_err(|error| ExportError::BadOption(format!("{name} cannot be used: {error}")))
    }

    /// Whether others than the owner may read this file. One that cannot be looked at is not said
    /// to be open.
    pub fn file_is_open_to_others(path: &Path) -> bool {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.permissions().mode() & 0o044 != 0)
    }

    /// Its name, which the server knows too.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The name of the algorithm that it signs with, `RS384` or `ES384`.
    pub fn algorithm(&self) -> &'static str {
        if self.algorithm == Algorithm::ES384 {
            "ES384"
        } else {
            "RS384"
        }
    }

    /// The private key as a JWK: for a file that only its owner reads.
    pub fn to_jwk(&self) -> Result<Value, KeyError> {
        let mut jwk = self.public_jwk("sign")?;
        let bytes = self.signing.as_bytes();
        if self.algorithm == Algorithm::ES384 {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, bytes);
            let pair = pair.map_err(|_| KeyError::Refused)?;
            let secret: EcPrivateKeyBin<'_> = pair
                .private_key()
                .as_be_bytes()
                .map_err(|_| KeyError::Refused)?;
            jwk["d"] = URL_SAFE_NO_PAD.encode(secret.as_ref()).into();
        } else {
            let parts = der::integers(bytes).ok_or(KeyError::Damaged)?;
            for (member, part) in RSA_MEMBERS.iter().zip(parts.iter().skip(1)) {
                jwk[*member] = URL_SAFE_NO_PAD.encode(part).into();
            }
        }
        Ok(jwk)
    }

    /// The public half as a JWK Set: what the server is to know.
    pub fn public_jwks(&self) -> Result<Value, KeyError> {
        let mut jwk = self.public_jwk("verify")?;
        jwk["use"] = "sig".into();
        Ok(json!({ "keys": [jwk] }))
    }

    fn public_jwk(&self, operation: &str) -> Result<Value, KeyError> {
        let mut jwk = serde_json::to_value(&self.public).map_err(|_| KeyError::Refused)?;
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm().into();
        jwk["key_ops"] = json!([operation]);
        Ok(jwk)
    }

    /// A signed JWT with these claims.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(|_| KeyError::Refused)
    }

    fn new(algorithm: Algorithm, signing: EncodingKey) -> Result<Self, KeyError> {
        let public = PublicJwk::from_encoding_key(&signing, algorithm);
        let public = public.map_err(|_| KeyError::Refused)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256);
        Ok(Self {
            kid: kid.map_err(|_| KeyError::Refused)?,
            algorithm,
            signing,
            public,
        })
    }

    fn of_pair(pair: &EcdsaKeyPair) -> Result<Self, KeyError> {
        let private = pair.to_pkcs8v1().map_err(|_| KeyError::Refused)?;
        Self::new(Algorithm::ES384, EncodingKey::from_ec_der(private.as_ref()))
    }

    /// From a PKCS#1 `RSAPrivateKey`.
    fn of_rsa(private: &[u8]) -> Result<Self, KeyError> {
        let parts = der::integers(private).ok_or(KeyError::Damaged)?;
        // The version comes first; that of keys with more than two primes is not 0.
        let [[], modulus, _, _, _, _, _, _, _] = parts[..] else {
            return Err(KeyError::Damaged);
        };
        if modulus.len() < SHORTEST_RSA {
            let short = format!("an RSA key of {} bits", 8 * modulus.len());
            return Err(KeyError::Unsupported(short));
        }
        RsaKeyPair::from_der(private).map_err(|_| KeyError::Damaged)?;
        Self::new(Algorithm::RS384, EncodingKey::from_rsa_der(private))
    }

    /// From PKCS#8 or an `ECPrivateKey` (RFC 5915).
    fn of_ec(private: &[u8]) -> Result<Self, KeyError> {
        let curve = &ECDSA_P384_SHA384_FIXED_SIGNING;
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve, private) {
            return Self::of_pair(&pair);
        }
        let mut windows = private.windows(OID_P384.len());
        Err(if windows.any(|bytes| bytes == OID_P384) {
            KeyError::Damaged
        } else {
            KeyError::Unsupported("an EC key on another curve".to_owned())
        })
    }

    fn of_pem(text: &str) -> Result<Self, KeyError> {
        let (label, body) = private_block(text)?;
        // Headers such as `Proc-Type: 4,ENCRYPTED`.
        if label == "ENCRYPTED PRIVATE KEY" || body.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let body: String = body.split_whitespace().collect();
        let private = STANDARD.decode(body).map_err(|_| KeyError::Damaged)?;
        match label {
            "RSA PRIVATE KEY" => Self::of_rsa(&private),
            "EC PRIVATE KEY" => Self::of_ec(&private),
            "PRIVATE KEY" => {
                let wrapped = der::unwrap(&private).ok_or(KeyError::Damaged)?;
                match wrapped.kind {
                    OID_RSA => Self::of_rsa(wrapped.key),
                    OID_EC => Self::of_ec(&private),
                    _ => Err(KeyError::Unsupported("neither RSA nor EC".to_owned())),
                }
            }
            other => Err(KeyError::Unsupported(format!("{other:?}"))),
        }
    }

    fn of_set(keys: &[Value], kid: Option<&str>) -> Result<Self, KeyError> {
        let private: Vec<Jwk<'_>> = keys.iter().map(Jwk).filter(Jwk::is_private).collect();
        let mut usable: Vec<&Jwk<'_>> = private.iter().filter(|key| key.fits().is_ok()).collect();
        if let Some(kid) = kid {
            usable.retain(|key| key.text("kid") == Some(kid));
        }
        match (usable.as_slice(), private.as_slice(), kid) {
            ([key], _, _) => Self::of_jwk(key),
            ([], _, Some(kid)) => Err(KeyError::NoSuchKey(kid.to_owned())),
            // It says best itself what is wrong with it.
            ([], [key], None) => Self::of_jwk(key),
            ([], _, None) => Err(KeyError::NotAKey),
            (several, _, _) => {
                let kids = several.iter().map(|key| key.text("kid").unwrap_or("?"));
                Err(KeyError::Ambiguous(kids.collect::<Vec<&str>>().join(", ")))
            }
        }
    }

    fn of_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        let mut key = if jwk.fits()? == Algorithm::ES384 {
            Self::of_ec_jwk(jwk)?
        } else {
            // A version of 0, as PKCS#1 wants it, comes first.
            let mut parts = vec![Vec::new()];
            for member in RSA_MEMBERS {
                parts.push(jwk.bytes(member)?);
            }
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            Self::of_rsa(&der::sequence_of(&parts))?
        };
        if let Some(kid) = jwk.text("kid") {
            kid.clone_into(&mut key.kid);
        }
        Ok(key)
    }

    fn of_ec_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        let (x, y) = (jwk.coordinate("x")?, jwk.coordinate("y")?);
        // As SEC 1 writes a point that is not compressed.
        let point = [&[4][..], &x, &y].concat();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P384_SHA384_FIXED_SIGNING,
            &jwk.coordinate("d")?,
            &point,
        );
        Self::of_pair(&pair.map_err(|_| KeyError::Damaged)?)
    }
}

impl Jwk<'_> {
    fn text(&self, member: &str) -> Option<&str> {
        self.0.get(member)?.as_str()
    }

    fn is_private(&self) -> bool {
        self.text("d").is_some()
    }

    /// Whether it is a private key that may sign, and with what.
    fn fits(&self) -> Result<Algorithm, KeyError> {
        let algorithm = match (self.text("kty"), self.text("crv")) {
            (Some("RSA"), _) => Algorithm::RS384,
            (Some("EC"), Some("P-384")) => Algorithm::ES384,
            (Some("EC"), curve) => {
                let curve = curve.unwrap_or("no curve");
                return Err(KeyError::Unsupported(format!("an EC key on {curve:?}")));
            }
            (Some(other), _) => {
                return Err(KeyError::Unsupported(format!("of the type {other:?}")));
            }
            (None, _) => return Err(KeyError::NotAKey),
        };
        if !self.is_private() {
            return Err(KeyError::NotAKey);
        }
        if let Some(alg) = self.text("alg").filter(|alg| alg.parse() != Ok(algorithm)) {
            return Err(KeyError::Algorithm(alg.to_owned()));
        }
        let operations = self.0.get("key_ops").and_then(Value::as_array);
        let signs = operations.is_none_or(|operations| operations.iter().any(|one| one == "sign"));
        if !signs || self.text("use").is_some_and(|what| what != "sig") {
            return Err(KeyError::NotForSigning);
        }
        Ok(algorithm)
    }

    fn bytes(&self, member: &'static str) -> Result<Vec<u8>, KeyError> {
        let text = self.text(member).ok_or(KeyError::Member(member))?;
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        bytes.map_err(|_| KeyError::Member(member))
    }

    /// Some programs leave zeros at the beginning off.
    fn coordinate(&self, member: &'static str) -> Result<Vec<u8>, KeyError> {
        let bytes = self.bytes(member)?;
        let missing = P384.checked_sub(bytes.len()).ok_or(KeyError::Damaged)?;
        Ok([vec![0; missing], bytes].concat())
    }
}

/// The label and the body of the first block with a private key; `openssl` writes one with the
/// curve before it.
fn private_block(text: &str) -> Result<(&str, &str), KeyError> {
    for block in text.split("-----BEGIN ").skip(1) {
        let (label, rest) = block.split_once("-----").ok_or(KeyError::NotAKey)?;
        if label.ends_with("PRIVATE KEY") {
            let (body, _) = rest.split_once("-----END ").ok_or(KeyError::Damaged)?;
            return Ok((label, body));
        }
    }
    Err(KeyError::NotAKey)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    const RSA_PKCS8: &[u8] = include_bytes!("../tests/keys/rsa-pkcs8.pem");
    const RSA_PKCS1: &[u8] = include_bytes!("../tests/keys/rsa-pkcs1.pem");
    const RSA_JWK: &[u8] = include_bytes!("../tests/keys/rsa.jwk.json");
    const P384_PKCS8: &[u8] = include_bytes!("../tests/keys/p384-pkcs8.pem");
    const P384_SEC1: &[u8] = include_bytes!("../tests/keys/p384-sec1.pem");
    const P384_JWK: &[u8] = include_bytes!("../tests/keys/p384.jwk.json");

    fn parse(bytes: &[u8]) -> PrivateKey {
        PrivateKey::parse(bytes, None).unwrap()
    }

    fn refusal(bytes: impl AsRef<[u8]>) -> KeyError {
        PrivateKey::parse(bytes.as_ref(), None).unwrap_err()
    }

    fn json(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    fn with(jwk: &[u8], member: &str, value: Value) -> String {
        let mut jwk = json(jwk);
        jwk[member] = value;
        jwk.to_string()
    }

    /// The claims, if a signature by one key is one by the other.
    fn signed_and_verified(by: &PrivateKey, other: &PrivateKey) -> Option<Value> {
        let token = by.sign(&json!({ "iss": "a" })).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("JWT"));
        let keys = serde_json::from_value(other.public_jwks().unwrap());
        let keys: JwkSet = keys.unwrap();
        let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap())?).unwrap();
        let mut rules = Validation::new(header.alg);
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        let read = jsonwebtoken::decode::<Value>(&token, &key, &rules);
        read.ok().map(|read| read.claims)
    }

    #[test]
    fn a_new_key_is_written_read_and_verified() {
        let made = PrivateKey::generate().unwrap();
        assert_ne!(made.kid(), PrivateKey::generate().unwrap().kid());
        let jwk = made.to_jwk().unwrap();
        assert_eq!(jwk["key_ops"], json!(["sign"]));
        assert_eq!((&jwk["kty"], &jwk["crv"]), (&json!("EC"), &json!("P-384")));
        assert_eq!(
            (&jwk["alg"], &jwk["kid"]),
            (&json!("ES384"), &json!(made.kid()))
        );
        let read = parse(jwk.to_string().as_bytes());
        assert_eq!(read.to_jwk().unwrap(), jwk);
        assert!(signed_and_verified(&read, &made).is_some());
        let public = &made.public_jwks().unwrap()["keys"][0];
        assert_eq!(
            (&public["use"], &public["key_ops"]),
            (&json!("sig"), &json!(["verify"]))
        );
        assert!(public.get("d").is_none());
        let stranger = PrivateKey::generate().unwrap();
        let stranger = PrivateKey {
            kid: made.kid.clone(),
            ..stranger
        };
        assert!(signed_and_verified(&stranger, &made).is_none());
    }

    #[test]
    fn every_form_of_a_key_is_the_same_key() {
        let forms = [
            (RSA_JWK, [RSA_PKCS8, RSA_PKCS1], "RS384"),
            (P384_JWK, [P384_PKCS8, P384_SEC1], "ES384"),
        ];
        for (jwk, pems, algorithm) in forms {
            let named = parse(jwk);
            assert_eq!(named.algorithm(), algorithm);
            assert_eq!(json!(named.kid()), json(jwk)["kid"]);
            for pem in pems {
                let key = parse(pem);
                let thumbprint = key.public.thumbprint(ThumbprintHash::SHA256).unwrap();
                assert_eq!(key.kid(), thumbprint);
                let key = PrivateKey::parse(pem, Some(named.kid())).unwrap();
                assert_eq!(key.to_jwk().unwrap(), named.to_jwk().unwrap());
                assert!(signed_and_verified(&key, &named).is_some());
            }
            let written = named.to_jwk().unwrap();
            for (member, value) in json(jwk).as_object().unwrap() {
                assert_eq!(&written[member], value, "{member}");
            }
            let again = parse(written.to_string().as_bytes());
            assert!(signed_and_verified(&again, &named).is_some());
        }
    }

    #[test]
    fn of_a_set_the_one_that_signs_is_taken() {
        let (rsa, ec) = (json(RSA_JWK), json(P384_JWK));
        let public = parse(P384_JWK).public_jwks().unwrap()["keys"][0].clone();
        let mut encrypts = rsa.clone();
        encrypts["key_ops"] = json!(["decrypt"]);
        let set = |keys: &[&Value]| json!({ "keys": keys }).to_string();
        let one = set(&[&public, &encrypts, &ec]);
        assert_eq!(parse(one.as_bytes()).kid(), "test-ec");
        let two = set(&[&rsa, &ec]);
        assert_eq!(
            refusal(&two),
            KeyError::Ambiguous("test-rsa, test-ec".to_owned())
        );
        let picked = PrivateKey::parse(two.as_bytes(), Some("test-rsa")).unwrap();
        assert_eq!((picked.kid(), picked.algorithm()), ("test-rsa", "RS384"));
        let other = PrivateKey::parse(two.as_bytes(), Some("other")).unwrap_err();
        assert_eq!(other, KeyError::NoSuchKey("other".to_owned()));
        assert_eq!(refusal(set(&[&public])), KeyError::NotAKey);
        assert_eq!(refusal(set(&[])), KeyError::NotAKey);
        assert_eq!(refusal(set(&[&encrypts])), KeyError::NotForSigning);
    }

    #[test]
    fn a_name_of_ones_own_and_lost_zeros() {
        let named = PrivateKey::parse(P384_JWK, Some("mine")).unwrap();
        assert_eq!(named.kid(), "mine");
        let short = Jwk(&json!({ "d": "AQ" })).coordinate("d").unwrap();
        assert_eq!((short.len(), short.last()), (P384, Some(&1)));
        let long = URL_SAFE_NO_PAD.encode([1; P384 + 1]);
        assert_eq!(refusal(with(P384_JWK, "d", json!(long))), KeyError::Damaged);
    }

    #[test]
    fn other_keys_are_refused_with_a_reason() {
        let unsupported: [&[u8]; 3] = [
            include_bytes!("../tests/keys/p256-pkcs8.pem"),
            include_bytes!("../tests/keys/ed25519.pem"),
            include_bytes!("../tests/keys/rsa-1024.pem"),
        ];
        for pem in unsupported {
            let refused = refusal(pem);
            assert!(matches!(refused, KeyError::Unsupported(_)), "{refused}");
        }
        for jwk in [
            with(P384_JWK, "crv", json!("P-256")),
            with(P384_JWK, "kty", json!("OKP")),
            with(P384_JWK, "kty", json!("oct")),
        ] {
            let refused = refusal(jwk);
            assert!(matches!(refused, KeyError::Unsupported(_)), "{refused}");
        }
        let encrypted = include_bytes!("../tests/keys/p384-encrypted.pem");
        assert_eq!(refusal(encrypted), KeyError::Encrypted);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END ";
        assert_eq!(refusal(old), KeyError::Encrypted);
        let public = include_bytes!("../tests/keys/p384-public.pem");
        for nothing in [
            &public[..],
            b"",
            b"{",
            b"{}",
            b"secret",
            b"\xff",
            b"-----BEGIN ",
        ] {
            assert_eq!(refusal(nothing), KeyError::NotAKey);
        }
        let other = KeyError::Algorithm("RS256".to_owned());
        assert_eq!(refusal(with(RSA_JWK, "alg", json!("RS256"))), other);
        assert_eq!(
            refusal(with(P384_JWK, "use", json!("enc"))),
            KeyError::NotForSigning
        );
        assert_eq!(
            refusal(with(RSA_JWK, "dp", Value::Null)),
            KeyError::Member("dp")
        );
        assert_eq!(
            refusal(with(P384_JWK, "y", json!("!"))),
            KeyError::Member("y")
        );
    }

    #[test]
    fn damage_is_found_before_anything_is_signed() {
        let other = PrivateKey::generate().unwrap().to_jwk().unwrap();
        assert_eq!(
            refusal(with(P384_JWK, "d", other["d"].clone())),
            KeyError::Damaged
        );
        assert_eq!(
            refusal(with(RSA_JWK, "qi", json!("AQAB"))),
            KeyError::Damaged
        );
        for pem in [RSA_PKCS8, RSA_PKCS1, P384_PKCS8, P384_SEC1] {
            let text = str::from_utf8(pem).unwrap();
            let at = text.rfind("-----END").unwrap();
            let cut = format!("{}\n{}", &text[..at - 41], &text[at..]);
            let refused = refusal(&cut);
            assert_eq!(refused, KeyError::Damaged, "{cut}");
            assert_eq!(refusal(&text[..at]), KeyError::Damaged);
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let shown = format!("{:?}", parse(P384_JWK));
        assert_eq!(
            shown,
            "PrivateKey { kid: \"test-ec\", algorithm: ES384, .. }"
        );
    }
}
