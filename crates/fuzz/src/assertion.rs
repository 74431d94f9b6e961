//! JWTs: whatever is sent, nobody gets in without a key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sluice_auth::{
    AccessToken, Assertion, Expected, External, ExternalIssuer, Refusal, TokenError, TokenUse,
    issuer_of,
};

use crate::keys::{NOW, PUBLIC, SIGNING};
use crate::parts::{first_line, text};

/// The token endpoint that assertions are for.
const AUDIENCE: &str = "https://h/default/oauth2/token";
const BASE: &str = "https://h/default/fhir";
const ISSUER: &str = "https://h/default/oauth2";

/// Takes the input as a JWT, and as the three parts of one: a line of header, a line of claims, and
/// the signature.
///
/// # Panics
///
/// When a JWT is proven, or read to be what none may be.
pub fn assertion(data: &[u8]) {
    nothing_opens(&text(data));
    let (header, rest) = first_line(data);
    let (claims, signature) = first_line(rest);
    let parts = [header, claims, signature];
    nothing_opens(&parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."));
}

fn nothing_opens(token: &str) {
    let issuer = issuer_of(token);
    assert!(issuer.is_none_or(|issuer| issuer.len() <= 512));
    is_no_assertion(token);
    is_no_external(token);
    is_no_access_token(token);
}

fn is_no_assertion(token: &str) {
    let expected = Expected {
        audience: AUDIENCE,
        now: NOW,
    };
    let Ok(read) = Assertion::read(token, expected) else {
        return;
    };
    // Nothing that a store or a log could choke on gets beyond here.
    assert!((1..=64).contains(&read.client().as_str().len()));
    assert!((1..=512).contains(&read.jti().len()));
    assert!((1..=256).contains(&read.kid().len()));
    assert!(PUBLIC.is_some(), "the keys are good");
    let proven = PUBLIC.as_ref().map(|keys| read.prove(keys));
    assert_eq!(proven, Some(Err(Refusal::UNPROVEN)));
    assert_eq!(read.prove_nothing(), Refusal::UNPROVEN);
}

fn is_no_external(token: &str) {
    let Ok(read) = External::read(token) else {
        return;
    };
    let issuer = ExternalIssuer {
        issuer: "https://idp".to_owned(),
        audience: BASE.to_owned(),
        client_claim: "client_id".to_owned(),
        scope_claim: "scope".to_owned(),
    };
    let proven = PUBLIC.as_ref().map(|keys| read.prove(&issuer, keys, NOW));
    // `Expired` would tell something that nothing proves.
    assert_eq!(proven, Some(Err(TokenError::Invalid)));
}

fn is_no_access_token(token: &str) {
    let what = TokenUse {
        issuer: ISSUER,
        audience: BASE,
        now: NOW,
    };
    let read = SIGNING
        .as_ref()
        .map(|keys| AccessToken::read(token, keys, what));
    assert_eq!(read, Some(Err(TokenError::Invalid)));
}
