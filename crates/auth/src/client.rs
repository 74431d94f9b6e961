//! What an administrator registers of a client, as it is written down, and as it is used.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sluice_fhir::{Level, is_id};

use crate::{Jwks, Scopes};

/// The longest name for people.
const LONGEST_NAME: usize = 200;
const MOST_GROUPS: usize = 1000;

/// A client's id: 1 to 64 of letters, digits, `.`, `_` and `-`, so that it is safe in keys, URLs and
/// logs. Assigned at registration.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

/// A text that is no client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a client id has 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-', and begins with none of these three"
)]
pub struct InvalidClientId;

impl ClientId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClientId {
    type Err = InvalidClientId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && text.len() <= 64 && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClientId)
        }
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A level of export, without the group's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LevelName {
    /// `$export`.
    System,
    /// `Patient/$export`.
    Patient,
    /// `Group/{id}/$export`.
    Group,
}

impl LevelName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::System, Self::Patient, Self::Group];

    /// The name of a level.
    pub fn of(level: &Level) -> Self {
        match level {
            Level::System => Self::System,
            Level::Patient => Self::Patient,
            Level::Group(_) => Self::Group,
        }
    }
}

/// What one client may use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientLimits {
    /// Exports that it may have running at once; the tenant's `most_running` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_running: Option<u32>,
    /// Exports that it may start in an hour; the tenant's `kickoffs_per_hour` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kickoffs_per_hour: Option<u32>,
}

/// A client as it is written in settings, in the store and in the admin API.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Its public keys: a JWK Set, as JSON or as a text of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Or where they are published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The most it is ever granted.
    pub scopes: Vec<String>,
    /// The groups that it may export, by id; every group unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// The levels that it may export; unless set, all, or with `groups` only `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<BTreeSet<LevelName>>,
    /// What it may use up.
    #[serde(default)]
    pub limits: ClientLimits,
    /// Whether it may do anything at all.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl fmt::Debug for Registration {
    /// Without the keys: somebody may have sent a private one by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Registration");
        shown
            .field("name", &self.name)
            .field("scopes", &self.scopes);
        shown.finish_non_exhaustive()
    }
}

fn yes() -> bool {
    true
}

/// Where a client's keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Registered.
    Inline(Jwks),
    /// At this URL.
    Url(String),
    /// Nowhere: another OAuth server issues its tokens.
    Elsewhere,
}

/// A client as it is used.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// For people.
    pub name: String,
    /// Its keys.
    pub keys: KeySource,
    /// The most it is granted.
    pub scopes: Scopes,
    /// What it may use up.
    pub limits: ClientLimits,
    /// Whether it may do anything at all.
    pub enabled: bool,
    groups: Option<BTreeSet<String>>,
    levels: BTreeSet<LevelName>,
}

impl Client {
    /// The groups that it may export; `None` for every one.
    pub fn groups(&self) -> Option<&BTreeSet<String>> {
        self.groups.as_ref()
    }

    /// Whether it may export this group, and see that it exists.
    pub fn may_see(&self, group: &str) -> bool {
        self.groups
            .as_ref()
            .is_none_or(|groups| groups.contains(group))
    }

    /// Whether it may export at this level.
    pub fn may_export(&self, level: &Level) -> bool {
        self.levels.contains(&LevelName::of(level))
    }
}

impl Registration {
    /// Checks everything; tells every problem at once.
    pub fn check(&self, id: &ClientId) -> Result<Client, Vec<String>> {
        let mut problems = Vec::new();
        if self.name.len() > LONGEST_NAME || self.name.chars().any(char::is_control) {
            problems.push(format!(
                "name must have at most {LONGEST_NAME} bytes on one line"
            ));
        }
        let keys = self.keys().map_err(|problem| problems.push(problem)).ok();
        let scopes = Scopes::strict(self.scopes.iter().map(String::as_str));
        let scopes = scopes
            .map_err(|problem| problems.push(problem.to_string()))
            .ok();
        if self.scopes.is_empty() {
            problems.push("scopes is empty; it may be such as [\"system/*.rs\"]".to_owned());
        }
        for group in self.groups.iter().flatten() {
            if !is_id(group) {
                problems.push(format!("{group:?} in groups is no id of a Group"));
            }
        }
        let limits = [self.limits.most_running, self.limits.kickoffs_per_hour];
        if limits.contains(&Some(0)) {
            problems.push("a limit of 0 is none; leave it out, or set enabled to false".to_owned());
        }
        let groups = self.groups.as_ref();
        if groups.is_some_and(|groups| groups.len() > MOST_GROUPS) {
            problems.push(format!(
                "groups has more than {MOST_GROUPS}; use one Group of groups"
            ));
        }
        if self.levels.as_ref().is_some_and(BTreeSet::is_empty) {
            problems.push("levels is empty; leave it out, or set enabled to false".to_owned());
        }
        match (keys, scopes) {
            (Some(keys), Some(scopes)) if problems.is_empty() => Ok(Client {
                id: id.clone(),
                name: self.name.clone(),
                keys,
                scopes,
                limits: self.limits,
                enabled: self.enabled,
                groups: groups.map(|groups| groups.iter().cloned().collect()),
                levels: self.levels_or_default(),
            }),
            _ => Err(problems),
        }
    }

    /// Who is let at some groups only is not let at everybody by another way.
    fn levels_or_default(&self) -> BTreeSet<LevelName> {
        match (&self.levels, &self.groups) {
            (Some(levels), _) => levels.clone(),
            (None, Some(_)) => BTreeSet::from([LevelName::Group]),
            (None, None) => BTreeSet::from(LevelName::ALL),
        }
    }

    fn keys(&self) -> Result<KeySource, String> {
        match (&self.jwks, &self.jwks_url) {
            (Some(_), Some(_)) => Err("set jwks or jwks_url, not both".to_owned()),
            (None, None) => Ok(KeySource::Elsewhere),
            (None, Some(url)) => {
                let shape = url
                    .strip_prefix("https://")
                    .is_some_and(|rest| !rest.is_empty());
                let odd = |letter: char| letter.is_whitespace() || letter.is_control();
                let fits = shape && url.len() <= 2048 && !url.contains(odd) && !url.contains('#');
                let wrong = || "jwks_url must begin with https:// and have no fragment".to_owned();
                fits.then(|| KeySource::Url(url.clone())).ok_or_else(wrong)
            }
            (Some(set), None) => {
                let text = match set {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let read = Jwks::registered(text.as_bytes());
                read.map(KeySource::Inline)
                    .map_err(|problem| format!("jwks: {problem}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn registration(more: &Value) -> Registration {
        let mut all = json!({ "scopes": ["system/*.rs"] });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn check(more: impl std::borrow::Borrow<Value>) -> Result<Client, Vec<String>> {
        registration(more.borrow()).check(&"etl-7".parse().unwrap())
    }

    #[test]
    fn who_has_groups_has_no_other_level_unless_told() {
        let client = check(json!({ "groups": ["a"] })).unwrap();
        assert!(client.may_see("a") && !client.may_see("b"));
        assert!(client.may_export(&Level::Group("a".to_owned())));
        assert!(!client.may_export(&Level::Patient) && !client.may_export(&Level::System));
        let client = check(json!({ "groups": ["a"], "levels": ["patient"] })).unwrap();
        assert!(client.may_export(&Level::Patient));
        let client = check(json!({})).unwrap();
        assert!(client.may_export(&Level::System) && client.may_see("b"));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let problems = check(json!({
            "scopes": ["system/*.write"], "jwks": { "keys": [] }, "groups": ["a b"], "levels": [],
        }));
        assert_eq!(problems.unwrap_err().len(), 4);
        for url in [
            "http://h/jwks",
            "https://",
            "https://h/a b",
            "https://h/#x",
            "file:///x",
        ] {
            assert!(check(json!({ "jwks_url": url })).is_err(), "{url}");
        }
        assert!(check(json!({ "jwks": "{}", "jwks_url": "https://h/" })).is_err());
        assert!(
            serde_json::from_value::<Registration>(json!({ "scopes": [], "grups": [] })).is_err()
        );
    }

    #[test]
    fn ids_are_safe_in_keys_and_urls() {
        for text in ["", ".", "..", "-a", "a/b", "a b", "é", &"a".repeat(65)] {
            assert!(text.parse::<ClientId>().is_err(), "{text}");
        }
        assert!("urn.example_1-x".parse::<ClientId>().is_ok());
    }
}
