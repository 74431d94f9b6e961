//! What proving a token costs: an access token, which comes with each request and is proven once, and a client's
//! assertion, which comes with each token request.

use std::hint::black_box;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use sluice_auth::{
    AccessToken, Assertion, AssertionClaims, AssertionKey, Expected, Jwks, KeySecret, Scopes,
    SigningKeys, TokenUse,
};

const NOW: i64 = 1_800_000_000;
const AUDIENCE: &str = "https://bulk.example.org/north/oauth2/token";
const USE: TokenUse<'static> = TokenUse {
    issuer: "https://bulk.example.org/north/oauth2",
    audience: "https://bulk.example.org/north/fhir",
    now: NOW,
};

type Wrong = Box<dyn std::error::Error>;

fn access_token(criterion: &mut Criterion) -> Result<(), Wrong> {
    let secret = KeySecret::new([7; 32])?;
    let keys = SigningKeys::at(&[secret], &"north".parse()?, 86_400, NOW)?;
    let token = AccessToken {
        client: "registry-etl".parse()?,
        scopes: Scopes::lenient("system/Patient.rs system/Observation.rs system/Condition.rs"),
        jti: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    let text = token.issue(&keys, USE, 300)?.token;
    AccessToken::read(&text, &keys, USE)?;
    criterion.bench_function("access token, proven", |bencher| {
        bencher.iter(|| AccessToken::read(black_box(&text), &keys, USE));
    });
    criterion.bench_function("access token, issued", |bencher| {
        bencher.iter(|| black_box(&token).issue(&keys, USE, 300).is_ok());
    });
    Ok(())
}

fn assertions(criterion: &mut Criterion) -> Result<(), Wrong> {
    let ec = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
    let rsa = KeyPair::generate(KeySize::Rsa2048)?;
    let rsa: Pkcs8V1Der<'_> = rsa.as_der()?;
    assertion(criterion, ec.to_pkcs8v1()?.as_ref(), Algorithm::ES384)?;
    assertion(criterion, rsa.as_ref(), Algorithm::RS384)
}

fn assertion(criterion: &mut Criterion, der: &[u8], algorithm: Algorithm) -> Result<(), Wrong> {
    let body = STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let private = match algorithm {
        Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes())?,
        _ => EncodingKey::from_rsa_pem(pem.as_bytes())?,
    };
    let mut public = serde_json::to_value(Jwk::from_encoding_key(&private, algorithm)?)?;
    public["kid"] = "k1".into();
    public["alg"] = format!("{algorithm:?}").into();
    public["key_ops"] = json!(["verify"]);
    let keys = Jwks::registered(json!({ "keys": [public] }).to_string().as_bytes())?;
    let text = AssertionKey::from_pem(pem.as_bytes(), "k1")?.sign(AssertionClaims {
        client: "registry-etl",
        audience: AUDIENCE,
        now: NOW,
        jti: "0123456789abcdef0123456789abcdef",
    })?;
    let expected = Expected {
        audience: AUDIENCE,
        now: NOW,
    };
    let prove = |text: &str| Assertion::read(text, expected)?.prove(&keys);
    prove(&text)?;
    criterion.bench_function(&format!("{algorithm:?} assertion, proven"), |bencher| {
        bencher.iter(|| prove(black_box(&text)));
    });
    Ok(())
}

fn all(criterion: &mut Criterion) {
    let done = access_token(criterion).and_then(|()| assertions(criterion));
    assert!(done.is_ok(), "{done:?}");
}

criterion_group!(benches, all);
criterion_main!(benches);
