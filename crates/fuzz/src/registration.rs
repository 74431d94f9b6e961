//! Registrations: a client has what is written down for it and no more.

use serde_json::Value;
use sluice_auth::{Client, ClientId, KeySource, LevelName, Registration, Scopes};
use sluice_fhir::{Level, is_id};

use crate::jwks::is_private;

/// Takes the input as the JSON of a registration.
///
/// # Panics
///
/// When a client may do more or less than is written down.
pub fn registration(data: &[u8]) {
    let Ok(written) = serde_json::from_slice::<Registration>(data) else {
        return;
    };
    let Ok(id) = "etl-7".parse::<ClientId>() else {
        return;
    };
    let checked = written.check(&id);
    is_kept(&written, checked.is_ok(), &id);
    match checked {
        Ok(client) => {
            assert_eq!((&client.id, &client.name), (&id, &written.name));
            assert_eq!(client.enabled, written.enabled);
            assert_eq!(client.limits, written.limits);
            scopes(&written, &client);
            levels(&written, &client);
            groups(&written, &client);
            keys(&written, &client);
        }
        Err(problems) => {
            assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.is_empty()));
        }
    }
}

/// The store keeps it as JSON.
fn is_kept(written: &Registration, is_good: bool, id: &ClientId) {
    let again = serde_json::to_vec(written).map(|text| serde_json::from_slice(&text));
    let again: Option<Registration> = again.ok().and_then(Result::ok);
    assert_eq!(again.as_ref(), Some(written));
    assert_eq!(again.map(|again| again.check(id).is_ok()), Some(is_good));
}

fn scopes(written: &Registration, client: &Client) {
    assert!(!client.scopes.is_empty());
    let strict = Scopes::strict(written.scopes.iter().map(String::as_str));
    assert_eq!(strict.as_ref(), Ok(&client.scopes));
}

fn levels(written: &Registration, client: &Client) {
    let group = Level::Group("some".to_owned());
    for level in [Level::System, Level::Patient, group] {
        let name = LevelName::of(&level);
        let expected = match &written.levels {
            Some(levels) => levels.contains(&name),
            None => written.groups.is_none() || name == LevelName::Group,
        };
        assert_eq!(client.may_export(&level), expected, "{name:?}");
    }
}

fn groups(written: &Registration, client: &Client) {
    let Some(groups) = &written.groups else {
        assert!(client.groups().is_none() && client.may_see("some"));
        return;
    };
    assert!(
        groups
            .iter()
            .all(|group| is_id(group) && client.may_see(group))
    );
    // None that is not there, nor one that only looks like it.
    for group in groups {
        let longer = format!("{group}x");
        for other in ["", "*", "some", &longer, &group.to_ascii_uppercase()] {
            let is_there = groups.iter().any(|group| group == other);
            assert_eq!(client.may_see(other), is_there, "{other}");
        }
    }
}

fn keys(written: &Registration, client: &Client) {
    let (set, url) = (&written.jwks, &written.jwks_url);
    let as_written = match &client.keys {
        KeySource::Inline(_) => url.is_none() && set.as_ref().is_some_and(is_public),
        KeySource::Url(used) => {
            set.is_none() && url.as_ref() == Some(used) && used.starts_with("https://")
        }
        KeySource::Elsewhere => set.is_none() && url.is_none(),
    };
    assert!(as_written, "keys from elsewhere than is written");
}

/// Whether a set, or a text of one, has public keys only.
fn is_public(set: &Value) -> bool {
    let text = set.as_str().map(serde_json::from_str::<Value>);
    let read = text.and_then(Result::ok);
    let keys = read.as_ref().unwrap_or(set).get("keys");
    let keys = keys.and_then(Value::as_array);
    keys.is_some_and(|keys| !keys.is_empty() && !keys.iter().any(is_private))
}
