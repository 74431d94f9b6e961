//! A client's keys on the command line: given, published somewhere, or made here.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use sluice_client::PrivateKey;

#[derive(Args)]
#[command(group(ArgGroup::new("keys").args(["jwks", "jwks_url", "generate"])))]
pub(crate) struct KeyArgs {
    /// The client's public keys: a file with a JWK Set, or with one JWK
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where the client publishes its public keys
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// Make a pair of keys (ES384); the private one is written to --key-out and known nowhere else
    #[arg(long)]
    generate: bool,
    /// The file for the private key; never one that is there
    #[arg(long, value_name = "FILE", requires = "generate")]
    pub(crate) key_out: Option<PathBuf>,
}

/// New keys of a client.
pub(crate) enum Keys {
    /// This JWK Set.
    Set(Value),
    /// Published at this URL.
    Url(String),
    /// Made now.
    Made(Box<PrivateKey>),
}

impl KeyArgs {
    /// What was asked for; `None` when another OAuth server is to know the keys.
    pub(crate) fn keys(&self) -> anyhow::Result<Option<Keys>> {
        if let Some(path) = &self.jwks {
            return Ok(Some(Keys::Set(read_set(path)?)));
        }
        if let Some(url) = &self.jwks_url {
            return Ok(Some(Keys::Url(url.clone())));
        }
        if !self.generate {
            return Ok(None);
        }
        let made = PrivateKey::generate().context("making a pair of keys")?;
        Ok(Some(Keys::Made(Box::new(made))))
    }
}

/// Says nothing of what is in the file: it may be the private key by mistake.
fn read_set(path: &Path) -> anyhow::Result<Value> {
    let name = path.display();
    let bytes = fs::read(path).with_context(|| format!("reading {name}"))?;
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(set) if set.get("keys").is_some() => Ok(set),
        Ok(key) if key.get("kty").is_some() => Ok(json!({ "keys": [key] })),
        _ => bail!("{name} is no JWK Set; it must be JSON such as {{\"keys\": [{{\"kty\": …}}]}}"),
    }
}

/// The keys of a set, which may have been registered as a text of JSON.
pub(crate) fn keys_of(set: &Value) -> Vec<Value> {
    let read = set
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    let set: &Value = read.as_ref().unwrap_or(set);
    set["keys"].as_array().cloned().unwrap_or_default()
}

/// The names of the keys of a set.
pub(crate) fn kids_of(set: &Value) -> Vec<String> {
    let keys = keys_of(set);
    let kids = keys.iter().filter_map(|key| key["kid"].as_str());
    kids.map(str::to_owned).collect()
}

/// A private key that was just written to a file.
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
}

impl KeyFile {
    /// Writes a new file that only its owner reads.
    pub(crate) fn write(path: PathBuf, key: &PrivateKey) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let text = serde_json::to_string_pretty(&key.to_jwk()?)? + "\n";
        let mut options = File::options();
        let mut file = match options.create_new(true).write(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("{name} is there already, and no key is ever overwritten; use --key-out")
            }
            opened => opened.with_context(|| format!("writing {name}"))?,
        };
        let this = Self { path };
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            this.discard();
            return Err(error).with_context(|| format!("writing {name}"));
        }
        Ok(this)
    }

    /// Removes it, as nobody knows its public half.
    pub(crate) fn discard(&self) {
        let _it_is_of_no_use = fs::remove_file(&self.path);
    }
}
