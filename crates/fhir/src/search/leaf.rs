//! Values at the end of a place, read from their raw JSON without building the resource around them.
//!
//! What does not have the shape of its datatype has no value: it matches nothing.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A text that is borrowed where it has no escapes.
#[derive(Debug, Default)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(Borrow)
    }
}

struct Borrow;

impl<'de> Visitor<'de> for Borrow {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

pub(super) fn text<'a>(field: Option<&'a Text<'_>>) -> Option<&'a str> {
    field.map(|text| &*text.0)
}

/// Reads a value; `None` if it does not have the shape of its datatype.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// Calls for a value, or for each of a list; whether any call said yes.
pub(super) fn any<'a>(json: &'a str, wanted: &mut impl FnMut(&'a str) -> bool) -> bool {
    match json.as_bytes().first() {
        Some(b'[') => {
            let values: Vec<&RawValue> = read(json).unwrap_or_default();
            values.into_iter().any(|value| any(value.get(), wanted))
        }
        Some(b'n') | None => false,
        Some(_) => wanted(json),
    }
}

#[derive(Deserialize)]
pub(super) struct Coding<'a> {
    #[serde(borrow)]
    pub(super) system: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) display: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CodeableConcept<'a> {
    #[serde(borrow, default)]
    pub(super) coding: Vec<Coding<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Identifier<'a> {
    #[serde(borrow)]
    pub(super) system: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) value: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<CodeableConcept<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ContactPoint<'a> {
    #[serde(borrow)]
    pub(super) value: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct HumanName<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) family: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) given: Vec<Option<Text<'a>>>,
    #[serde(borrow, default)]
    pub(super) prefix: Vec<Option<Text<'a>>>,
    #[serde(borrow, default)]
    pub(super) suffix: Vec<Option<Text<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) line: Vec<Option<Text<'a>>>,
    #[serde(borrow)]
    pub(super) city: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) district: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) state: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) postal_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) country: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Period<'a> {
    #[serde(borrow)]
    pub(super) start: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) end: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Timing<'a> {
    #[serde(borrow, default)]
    pub(super) event: Vec<Option<Text<'a>>>,
    #[serde(borrow)]
    pub(super) repeat: Option<Repeat<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repeat<'a> {
    #[serde(borrow)]
    pub(super) bounds_period: Option<Period<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Quantity<'a> {
    /// The digits as they stand there.
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) unit: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) system: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) code: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Money<'a> {
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) currency: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Range<'a> {
    #[serde(borrow)]
    pub(super) low: Option<Quantity<'a>>,
    #[serde(borrow)]
    pub(super) high: Option<Quantity<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Reference<'a> {
    #[serde(borrow)]
    pub(super) reference: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) identifier: Option<Identifier<'a>>,
}

/// The member of an object that has this name.
pub(crate) fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = (&mut deserializer).deserialize_map(Member(name)).ok()?;
    found.map(RawValue::get)
}

struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if name.0 == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}
