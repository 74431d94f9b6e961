//! `sluice clients rotate`: new keys beside the old ones, until the client uses them; then the old
//! ones go.

use std::path::PathBuf;

use anyhow::bail;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use sluice_auth::{ClientId, Registration};

use super::SOON;
use super::keys::{KeyArgs, KeyFile, Keys, keys_of, kids_of};
use super::reach::ReachArgs;
use crate::admin_port::Undone;
use crate::terminal::{print, say};

/// Of a key's name, enough to tell its file from others.
const FEW: usize = 8;

#[derive(Args)]
#[command(group(
    ArgGroup::new("change").required(true).multiple(true)
        .args(["jwks", "jwks_url", "generate", "drop_kids"])
))]
pub(crate) struct RotateArgs {
    /// The client's id
    id: ClientId,
    #[command(flatten)]
    keys: KeyArgs,
    /// Forget all old keys; otherwise they stay beside the new ones
    #[arg(long, requires = "keys", conflicts_with = "drop_kids")]
    replace: bool,
    /// Forget the key with this kid; may be repeated
    #[arg(
        long = "drop-kid",
        id = "drop_kids",
        value_name = "KID",
        allow_hyphen_values = true
    )]
    drop_kids: Vec<String>,
    #[command(flatten)]
    reach: ReachArgs,
}

pub(crate) async fn run(args: RotateArgs) -> anyhow::Result<()> {
    let id = &args.id;
    let registry = args.reach.open().await?;
    let shown = registry.show(id).await?;
    let (seen, old) = (shown.version, shown.registration);
    let keys = args.keys.keys()?;
    let new = rotated(old, &args.drop_kids, keys.as_ref(), args.replace)?;
    if let Err(problems) = new.check(id) {
        bail!(problems.join("; "));
    }
    let file = match &keys {
        Some(Keys::Made(key)) => {
            let few: String = key.kid().chars().take(FEW).collect();
            let path = args.keys.key_out.clone();
            let path = path.unwrap_or_else(|| PathBuf::from(format!("{id}-{few}.jwk")));
            Some(KeyFile::write(path, key)?)
        }
        _ => None,
    };
    let replaced = registry.replace(id, &new, seen).await;
    if let (Err(Undone::Refused(_)), Some(file)) = (&replaced, &file) {
        file.discard();
    }
    replaced?;
    if let Some(file) = &file {
        print(&format!(
            "private key  {}, readable by you only and known nowhere else",
            file.path.display()
        ));
    }
    match (&new.jwks, &new.jwks_url) {
        (Some(set), _) => print(&format!("keys of {id}  {}", kids_of(set).join(", "))),
        (None, Some(url)) => print(&format!("keys of {id}  at {url}")),
        (None, None) => {}
    }
    if keys.is_some() && !args.replace && keys_of(&new.jwks.unwrap_or_default()).len() > 1 {
        say(&format!(
            "once the client signs with its new key: sluice clients rotate {id} --drop-kid OLD-KID"
        ));
    }
    say(SOON);
    Ok(())
}

/// The registration with other keys.
fn rotated(
    mut client: Registration,
    drop: &[String],
    new: Option<&Keys>,
    replace: bool,
) -> anyhow::Result<Registration> {
    let mut kept = keys_of(&client.jwks.take().unwrap_or_default());
    for kid in drop {
        let before = kept.len();
        kept.retain(|key| key["kid"] != **kid);
        if kept.len() == before {
            bail!("it has no key with the kid {kid:?}; `sluice clients show` tells which it has");
        }
    }
    if replace {
        kept.clear();
        client.jwks_url = None;
    }
    let added = match new {
        Some(_) if client.jwks_url.is_some() => {
            bail!("its keys are at a URL, and cannot be beside others; --replace forgets the URL")
        }
        Some(Keys::Url(url)) if kept.is_empty() => {
            client.jwks_url = Some(url.clone());
            return Ok(client);
        }
        Some(Keys::Url(_)) => {
            bail!("its keys are registered, and cannot be beside a URL; --replace forgets them")
        }
        Some(Keys::Set(set)) => keys_of(set),
        Some(Keys::Made(key)) => keys_of(&key.public_jwks()?),
        None => Vec::new(),
    };
    let clash = |key: &Value| kept.iter().any(|old| old["kid"] == key["kid"]);
    if let Some(kid) = added.iter().find(|key| clash(key)).map(|key| &key["kid"]) {
        bail!("it has a key with the kid {kid} already; drop that one by --drop-kid, or --replace");
    }
    kept.extend(added);
    if kept.is_empty() {
        bail!("no key would be left; give it new ones, or disable it");
    }
    client.jwks = Some(json!({ "keys": kept }));
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(more: &Value) -> Registration {
        let mut all = json!({ "scopes": ["system/*.rs"], "name": "n", "enabled": false });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn set(kids: &[&str]) -> Value {
        let keys: Vec<Value> = kids.iter().map(|kid| json!({ "kid": kid })).collect();
        json!({ "keys": keys })
    }

    fn kids(
        client: Registration,
        drop: &[&str],
        new: Option<&Keys>,
        replace: bool,
    ) -> Result<Vec<String>, String> {
        let drop: Vec<String> = drop.iter().map(|kid| (*kid).to_owned()).collect();
        let new = rotated(client, &drop, new, replace).map_err(|no| no.to_string())?;
        assert!(new.name == "n" && !new.enabled, "the rest stays as it is");
        Ok(new.jwks.map_or(Vec::new(), |set| kids_of(&set)))
    }

    #[test]
    fn old_keys_stay_until_they_are_dropped() {
        let old = || client(&json!({ "jwks": set(&["a", "b"]) }));
        let new = Keys::Set(set(&["c"]));
        let new = || Some(&new);
        assert_eq!(kids(old(), &[], new(), false).unwrap(), ["a", "b", "c"]);
        assert_eq!(kids(old(), &["a"], new(), false).unwrap(), ["b", "c"]);
        assert_eq!(kids(old(), &["b"], None, false).unwrap(), ["a"]);
        assert_eq!(kids(old(), &[], new(), true).unwrap(), ["c"]);
        let text = client(&json!({ "jwks": set(&["a"]).to_string() }));
        assert_eq!(kids(text, &[], new(), false).unwrap(), ["a", "c"]);
        let made = Keys::Made(Box::new(sluice_client::PrivateKey::generate().unwrap()));
        assert_eq!(kids(old(), &[], Some(&made), false).unwrap().len(), 3);
        let refused = kids(old(), &["a", "b"], None, false).unwrap_err();
        assert!(refused.contains("no key would be left"), "{refused}");
        let refused = kids(old(), &["z"], new(), false).unwrap_err();
        assert!(refused.contains("no key with the kid \"z\""), "{refused}");
        let same = Keys::Set(set(&["b"]));
        let refused = kids(old(), &[], Some(&same), false).unwrap_err();
        assert!(refused.contains("\"b\" already"), "{refused}");
        assert_eq!(kids(old(), &["b"], Some(&same), false).unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_url_and_keys_are_not_mixed_by_accident() {
        let inline = || client(&json!({ "jwks": set(&["a"]) }));
        let at_url = || client(&json!({ "jwks_url": "https://old/" }));
        let (url, new) = (Keys::Url("https://new/".to_owned()), Keys::Set(set(&["c"])));
        for (old, new) in [(inline(), &url), (at_url(), &new), (at_url(), &url)] {
            let refused = kids(old, &[], Some(new), false).unwrap_err();
            assert!(refused.contains("--replace"), "{refused}");
        }
        assert_eq!(kids(at_url(), &[], Some(&new), true).unwrap(), ["c"]);
        for old in [inline(), at_url(), client(&json!({}))] {
            let new = rotated(old, &[], Some(&url), true).unwrap();
            assert_eq!(
                (new.jwks, new.jwks_url.as_deref()),
                (None, Some("https://new/"))
            );
        }
    }
}
