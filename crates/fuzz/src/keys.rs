//! Public keys whose private halves were thrown away when they were made, so that whatever is proven
//! with them is a forgery.

use std::sync::LazyLock;

use serde_json::{Value, json};
use sluice_auth::{Jwks, KeySecret, SigningKeys};
use sluice_model::TenantId;

/// When everything happens, in seconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000;

const RSA: &str = "0PzL6IFQc0GHYTB78O7Te_S4HxCYuyo4cdsKuU9F-LuKXQ2GeMS21Vcyo5Zp8jm2y_Y5uQ6sC9ZvR5so6GiFPpgbmcQYVOZta_G6wHpZ1zi2JHTn9GnUz1tof4m3TBIPWeksD5jjcmt1_q07P5bHJnrEBQMARyCNt7gm_VvZ_qSy_7FKJo8lvrwZBcSxxNEaDbp8k4AGKJei7PLTo2-npbRbYH-wDIVWH8cczj-0Zoc7osNMufkEZ-OjBR4WFm1cRaymBLDptJBnvSy1ZE34aXENdgvEVOF0WIy7Y5ptE3QBewqh-VbNCBvBMrZVCHzlhbp0PbiHBmnzLuZGTAJFqw";
const P384: [&str; 2] = [
    "Ji4o5TgU-W0n0wLHwXBEkrRcqSOaWxku-kmtwp0Nj0uTNIrZzg3xBDhL5WE8u8Du",
    "3mMljrhSQ8_p2XG8ElMmCBPlOdQqGpjpaP1Rfv_KxxXrkD6eyYSsSSSmSbbgDsiR",
];
const OTHER_P384: [&str; 2] = [
    "vUMJqczSzw9pcYAeg73RwxIN7avjUH2X6_tLg3ZJi51-l94LuabUyd_sAiEtB4oa",
    "TWiwPXkGPKmHA2jIbzjg6r9G_s2HwNF4vnu29jeUflfgquSXLw-gIAvhXUsW2RRW",
];
const P256: [&str; 2] = [
    "LR1yo_hhLeBLmNp8UBttXEBktdLCLYMQiagU52EdHSw",
    "2KNN9ymH48j3UoYPrad9pL4Ge5o5ZdZC3HRHfA6hrhM",
];

fn rsa(kid: &str) -> Value {
    json!({ "kty": "RSA", "kid": kid, "n": RSA, "e": "AQAB" })
}

fn ec(kid: &str, curve: &str, [x, y]: [&str; 2]) -> Value {
    json!({ "kty": "EC", "kid": kid, "crv": curve, "x": x, "y": y })
}

/// Keys of every kind, and names that could be mistaken.
pub(crate) static PUBLIC: LazyLock<Option<Jwks>> = LazyLock::new(|| {
    let mut only_rs256 = rsa("rs256");
    only_rs256["alg"] = json!("RS256");
    let keys = json!({ "keys": [
        rsa("rsa"),
        only_rs256,
        ec("ec", "P-384", P384),
        ec("p256", "P-256", P256),
        // Means one key or none, by the algorithm.
        rsa("both"),
        ec("both", "P-384", P384),
        // Means none.
        ec("twice", "P-384", P384),
        ec("twice", "P-384", OTHER_P384),
        ec("é ", "P-384", OTHER_P384),
        ec(&"k".repeat(256), "P-384", OTHER_P384),
    ] });
    Jwks::fetched(keys.to_string().as_bytes()).ok()
});

/// The keys of a server's own access tokens. Who reads this could make them; a fuzzer cannot.
pub(crate) static SIGNING: LazyLock<Option<SigningKeys>> = LazyLock::new(|| {
    let tenant: TenantId = "default".parse().ok()?;
    let secret = KeySecret::new([7; 32]).ok()?;
    SigningKeys::at(&[secret], &tenant, 86_400, NOW).ok()
});
