//! Key sets: what may be registered may be fetched, and a private key is never taken.

use serde::Deserialize;
use serde_json::Value;
use sluice_auth::Jwks;

/// Members that only a private or a shared key has.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Takes the input as a key set.
///
/// # Panics
///
/// When a private key is taken, or when a set may be registered but not fetched.
pub fn jwks(data: &[u8]) {
    let (registered, fetched) = (Jwks::registered(data), Jwks::fetched(data));
    let Ok(set) = serde_json::from_slice::<Set>(data) else {
        assert!(registered.is_err() && fetched.is_err(), "it is no set");
        return;
    };
    if let Ok(registered) = &registered {
        assert!(fetched.is_ok(), "registered and not fetched: {fetched:?}");
        for key in &set.keys {
            assert!(!is_private(key), "a private key is registered");
            let kid = kid(key);
            assert!(kid.is_some_and(|kid| registered.knows(kid)));
        }
    }
    if let Ok(fetched) = &fetched {
        for kid in set.keys.iter().filter_map(kid) {
            let mut same = set.keys.iter().filter(|key| self::kid(key) == Some(kid));
            let only_private = same.all(is_private);
            assert!(
                !(only_private && fetched.knows(kid)),
                "a private key is taken"
            );
        }
    }
}

/// Whether a key has what only its owner should.
pub(crate) fn is_private(key: &Value) -> bool {
    PRIVATE.iter().any(|part| key.get(part).is_some())
}

fn kid(key: &Value) -> Option<&str> {
    key.get("kid")?.as_str()
}
