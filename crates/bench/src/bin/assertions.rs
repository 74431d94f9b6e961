//! Assertions of clients, signed before anybody measures what becomes of them.
//!
//! ```text
//! assertions keys PEM...                        the public halves, as a JWK Set
//! assertions sign PEM CLIENT AUDIENCE COUNT     so many, one a line, each with a `jti` of its own
//! ```

use std::io::{BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use sluice_auth::{AssertionClaims, AssertionKey};
use sluice_client::PrivateKey;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["keys", ref files @ ..] => keys(files),
        ["sign", file, client, audience, count] => sign(file, (client, audience), count.parse()?),
        _ => bail!("usage: assertions keys PEM... | assertions sign PEM CLIENT AUDIENCE COUNT"),
    }
}

fn keys(files: &[&str]) -> anyhow::Result<()> {
    let mut keys = Vec::new();
    for file in files {
        let jwks = PrivateKey::read(file.as_ref(), None)?.public_jwks()?;
        let these = jwks["keys"].as_array().cloned();
        keys.extend(these.context("no keys in a set")?);
    }
    let set: Value = json!({ "keys": keys });
    Ok(writeln!(std::io::stdout(), "{set}")?)
}

fn sign(file: &str, (client, audience): (&str, &str), count: u32) -> anyhow::Result<()> {
    let kid = PrivateKey::read(file.as_ref(), None)?.kid().to_owned();
    let key = AssertionKey::from_pem(&std::fs::read(file)?, &kid)?;
    let now = now()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for number in 0..count {
        let assertion = key.sign(AssertionClaims {
            client,
            audience,
            now: i64::try_from(now / 1_000_000_000)?,
            jti: &format!("{now}-{number}"),
        })?;
        writeln!(out, "{assertion}")?;
    }
    Ok(out.flush()?)
}

/// Nanoseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "it is no service, and its clock is the system's"
)]
fn now() -> anyhow::Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())
}
