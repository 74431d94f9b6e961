//! A long Group with everything but its members.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

/// The text of a Group without its members, which are passed over while it is read, and with the tag
/// that says so.
pub fn without_members(group: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let Shortened(mut group) = serde_json::from_slice(group)?;
    let tag = json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "SUBSETTED",
    });
    let meta = group.entry("meta").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        let tags = meta.entry("tag").or_insert_with(|| json!([]));
        if let Some(tags) = tags.as_array_mut() {
            tags.push(tag);
        }
    }
    serde_json::to_vec(&group)
}

struct Shortened(Map<String, Value>);

impl<'de> Deserialize<'de> for Shortened {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Shortener).map(Self)
    }
}

struct Shortener;

impl<'de> Visitor<'de> for Shortener {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a Group")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut group = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "member" {
                map.next_value::<IgnoredAny>()?;
            } else {
                group.insert(key, map.next_value()?);
            }
        }
        Ok(group)
    }
}
