//! Public keys as JWK Sets (RFC 7517): which are usable, and which one a JWT means.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::jwt::LONGEST_NAME;

/// The largest set that is read.
pub const MOST_BYTES: usize = 64 * 1024;
const MOST_KEYS: usize = 20;
/// RSA moduli, in bytes: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Why a set of keys is of no use. Never shows a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwks {
    /// Not a JWK Set.
    #[error("this is no JWK Set; it must be JSON such as {{\"keys\": [{{\"kty\": \"EC\", …}}]}}")]
    NotASet,
    /// Larger than is read.
    #[error("the key set is larger than 64 KiB or has more than 20 keys")]
    TooLarge,
    /// There is a private key in it.
    #[error(
        "key {0} is a private key, and whoever saw it can sign; make a new pair and send only its \
         public half"
    )]
    Private(usize),
    /// A key cannot be used for what SMART asks.
    #[error("key {0} cannot be used: {1}")]
    Unusable(usize, &'static str),
    /// Two keys cannot be told apart.
    #[error("two keys have the same kid and kty; give each its own kid")]
    SameKid,
    /// No key is left.
    #[error("there is no usable key; add an RSA key of 2048 bits or more, or an EC key on P-384")]
    Empty,
}

/// Usable public keys.
#[derive(Clone, Debug)]
pub struct Jwks {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    kid: String,
    kind: Kind,
    public: DecodingKey,
}

/// What a key can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The algorithm that the key itself insists on, if it does.
    Rsa(Option<Algorithm>),
    P256,
    P384,
}

impl Kind {
    /// Whether both are of one `kty` (R-236).
    fn is_like(self, other: Self) -> bool {
        matches!(self, Self::Rsa(_)) == matches!(other, Self::Rsa(_))
    }

    fn verifies(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa(only) => {
                let rsa = matches!(algorithm, Algorithm::RS256 | Algorithm::RS384);
                rsa && only.is_none_or(|only| only == algorithm)
            }
            Self::P256 => algorithm == Algorithm::ES256,
            Self::P384 => algorithm == Algorithm::ES384,
        }
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Jwks {
    /// Reads a set that somebody else keeps: keys of kinds not used here are passed over.
    pub fn fetched(bytes: &[u8]) -> Result<Self, InvalidJwks> {
        let usable = |(_, read): (usize, Result<Key, InvalidJwks>)| read.ok();
        let keys: Vec<Key> = read(bytes)?.filter_map(usable).collect();
        Self::of(keys)
    }

    /// Reads a set that is being registered: everything in it must be usable and public.
    pub fn registered(bytes: &[u8]) -> Result<Self, InvalidJwks> {
        let keys: Vec<Key> = read(bytes)?
            .map(|(_, read)| read)
            .collect::<Result<_, _>>()?;
        for (at, key) in keys.iter().enumerate() {
            let same = |other: &Key| other.kid == key.kid && other.kind.is_like(key.kind);
            if keys[..at].iter().any(same) {
                return Err(InvalidJwks::SameKid);
            }
            if key.kind == Kind::P256 {
                let why = "SMART's ES384 needs the curve P-384";
                return Err(InvalidJwks::Unusable(at + 1, why));
            }
        }
        Self::of(keys)
    }

    fn of(keys: Vec<Key>) -> Result<Self, InvalidJwks> {
        if keys.is_empty() {
            return Err(InvalidJwks::Empty);
        }
        Ok(Self { keys })
    }

    /// The one key that `kid` means for an algorithm; none when none or several fit (R-236, T-069).
    pub(crate) fn only(&self, kid: &str, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| key.kid == kid);
        let mut fitting = fitting.by_ref().filter(|key| key.kind.verifies(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(&key.public),
            _ => None,
        }
    }

    /// Whether any key has this `kid`; if not, the set may be old.
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }
}

type Read = (usize, Result<Key, InvalidJwks>);

/// Each key with its number, from 1.
fn read(bytes: &[u8]) -> Result<impl Iterator<Item = Read>, InvalidJwks> {
    if bytes.len() > MOST_BYTES {
        return Err(InvalidJwks::TooLarge);
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|_| InvalidJwks::NotASet)?;
    if set.keys.len() > MOST_KEYS {
        return Err(InvalidJwks::TooLarge);
    }
    let keys = set.keys.into_iter().enumerate();
    Ok(keys.map(|(at, key)| (at + 1, one(at + 1, &key))))
}

fn one(number: usize, jwk: &Value) -> Result<Key, InvalidJwks> {
    let wrong = |why| InvalidJwks::Unusable(number, why);
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if ["d", "p", "q", "dp", "dq", "qi", "k"]
        .iter()
        .any(|part| jwk.get(part).is_some())
    {
        return Err(InvalidJwks::Private(number));
    }
    let kid = text("kid").ok_or(wrong("it has no kid"))?;
    if kid.is_empty() || kid.len() > LONGEST_NAME {
        return Err(wrong("its kid must have 1 to 256 bytes"));
    }
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return Err(wrong("its use is not sig"));
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_array().map(Vec::as_slice).unwrap_or_default();
        if !operations.iter().any(|operation| operation == "verify") {
            return Err(wrong("its key_ops do not have verify"));
        }
    }
    let (form, public) = match text("kty") {
        Some("RSA") => rsa(number, jwk)?,
        Some("EC") => ec(number, jwk)?,
        _ => return Err(wrong("its kty is neither RSA nor EC")),
    };
    let stated = text("alg").and_then(|name| name.parse().ok());
    if jwk.get("alg").is_some() && !stated.is_some_and(|alg| form.verifies(alg)) {
        return Err(wrong("its alg is not one that this key can have here"));
    }
    Ok(Key {
        kid: kid.to_owned(),
        kind: form,
        public,
    })
}

fn rsa(number: usize, jwk: &Value) -> Result<(Kind, DecodingKey), InvalidJwks> {
    let wrong = |why| InvalidJwks::Unusable(number, why);
    let (n, e) = (bytes(jwk, "n"), bytes(jwk, "e"));
    let (n, e) = n
        .zip(e)
        .ok_or(wrong("n or e is missing or not base64url"))?;
    let first = n.iter().position(|byte| *byte != 0).unwrap_or(n.len());
    let (n, odd) = (&n[first..], |number: &[u8]| {
        number.last().is_some_and(|byte| byte % 2 == 1)
    });
    if !MODULUS.contains(&n.len()) || !odd(n) {
        return Err(wrong("its modulus must have 2048 to 8192 bits"));
    }
    if e.len() > 4 || !odd(&e) || e.as_slice() == [1] {
        return Err(wrong("its exponent must be odd and larger than 1"));
    }
    let only = jwk
        .get("alg")
        .and_then(Value::as_str)
        .and_then(|name| name.parse().ok());
    Ok((Kind::Rsa(only), DecodingKey::from_rsa_raw_components(n, &e)))
}

fn ec(number: usize, jwk: &Value) -> Result<(Kind, DecodingKey), InvalidJwks> {
    let wrong = |why| InvalidJwks::Unusable(number, why);
    let (kind, size) = match jwk.get("crv").and_then(Value::as_str) {
        Some("P-384") => (Kind::P384, 48),
        Some("P-256") => (Kind::P256, 32),
        _ => return Err(wrong("its curve is not P-384")),
    };
    let (x, y) = (bytes(jwk, "x"), bytes(jwk, "y"));
    let (x, y) = x
        .zip(y)
        .ok_or(wrong("x or y is missing or not base64url"))?;
    if x.len() != size || y.len() != size {
        return Err(wrong("x and y must have as many bytes as the curve says"));
    }
    let point = [&[4][..], &x, &y].concat();
    Ok((kind, DecodingKey::from_ec_der(&point)))
}

fn bytes(jwk: &Value, name: &str) -> Option<Vec<u8>> {
    let text = jwk.get(name)?.as_str()?;
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ec(kid: &str) -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 48]);
        json!({ "kty": "EC", "crv": "P-384", "kid": kid, "x": coordinate, "y": coordinate })
    }

    fn set(keys: &[Value]) -> Vec<u8> {
        json!({ "keys": keys }).to_string().into_bytes()
    }

    #[test]
    fn r_236_a_kid_must_mean_one_key() {
        let keys = Jwks::fetched(&set(&[ec("a"), ec("b"), ec("b")])).unwrap();
        assert!(keys.only("a", Algorithm::ES384).is_some());
        assert!(keys.only("a", Algorithm::RS384).is_none());
        assert!(keys.only("b", Algorithm::ES384).is_none());
        assert!(keys.only("c", Algorithm::ES384).is_none());
        assert!(keys.knows("b") && !keys.knows("c"));
        let refused = Jwks::registered(&set(&[ec("b"), ec("b")])).unwrap_err();
        assert_eq!(refused, InvalidJwks::SameKid);
    }

    #[test]
    fn a_private_key_is_never_registered() {
        let mut key = ec("a");
        key["d"] = json!("AAAA");
        let refused = Jwks::registered(&set(&[ec("b"), key.clone()])).unwrap_err();
        assert_eq!(refused, InvalidJwks::Private(2));
        assert_eq!(Jwks::fetched(&set(&[key])).unwrap_err(), InvalidJwks::Empty);
    }

    #[test]
    fn weak_odd_and_foreign_keys_are_refused() {
        let weak =
            json!({ "kty": "RSA", "kid": "r", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([9; 128]) });
        let secret = json!({ "kty": "oct", "kid": "o" });
        let mut encrypts = ec("e");
        encrypts["use"] = json!("enc");
        let mut signs_only = ec("s");
        signs_only["key_ops"] = json!(["sign"]);
        let mut other = ec("a");
        other["alg"] = json!("RS384");
        let mut nameless = ec("a");
        nameless.as_object_mut().unwrap().remove("kid");
        let mut curve = ec("c");
        curve["crv"] = json!("P-521");
        for key in [
            weak,
            secret,
            encrypts,
            signs_only,
            other,
            nameless,
            curve,
            ec(""),
        ] {
            let refused = Jwks::registered(&set(std::slice::from_ref(&key))).unwrap_err();
            assert!(matches!(refused, InvalidJwks::Unusable(1, _)), "{key}");
        }
        for bytes in [&b"[]"[..], b"{", b"{\"keys\":1}", &set(&vec![ec("a"); 21])] {
            assert!(Jwks::fetched(bytes).is_err());
        }
        assert_eq!(
            Jwks::fetched(&vec![b' '; MOST_BYTES + 1]).unwrap_err(),
            InvalidJwks::TooLarge
        );
    }
}
