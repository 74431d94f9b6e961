//! Where in a resource a search parameter's values stand, and as which datatype.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ResourceType;

/// Datatypes that searches tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Address,
    Boolean,
    Canonical,
    Code,
    CodeableConcept,
    Coding,
    ContactPoint,
    Date,
    HumanName,
    Identifier,
    Money,
    Number,
    Period,
    Quantity,
    Range,
    Reference,
    /// Its values are not compared with anything; only whether there are any.
    Opaque,
    Text,
    Timing,
    Uri,
}

/// R4's names of datatypes.
const DATATYPES: [(&str, Datatype); 35] = [
    ("Address", Datatype::Address),
    ("Age", Datatype::Quantity),
    ("CodeableConcept", Datatype::CodeableConcept),
    ("Coding", Datatype::Coding),
    ("ContactPoint", Datatype::ContactPoint),
    ("Count", Datatype::Quantity),
    ("Distance", Datatype::Quantity),
    ("Duration", Datatype::Quantity),
    ("HumanName", Datatype::HumanName),
    ("Identifier", Datatype::Identifier),
    ("Money", Datatype::Money),
    ("MoneyQuantity", Datatype::Quantity),
    ("Period", Datatype::Period),
    ("Quantity", Datatype::Quantity),
    ("Range", Datatype::Range),
    ("Reference", Datatype::Reference),
    ("SampledData", Datatype::Opaque),
    ("SimpleQuantity", Datatype::Quantity),
    ("Timing", Datatype::Timing),
    ("boolean", Datatype::Boolean),
    ("canonical", Datatype::Canonical),
    ("code", Datatype::Code),
    ("date", Datatype::Date),
    ("dateTime", Datatype::Date),
    ("decimal", Datatype::Number),
    ("id", Datatype::Code),
    ("instant", Datatype::Date),
    ("integer", Datatype::Number),
    ("markdown", Datatype::Text),
    ("oid", Datatype::Uri),
    ("positiveInt", Datatype::Number),
    ("string", Datatype::Text),
    ("unsignedInt", Datatype::Number),
    ("uri", Datatype::Uri),
    ("url", Datatype::Uri),
];

/// A step down into a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    /// Only where a child has this value, as in `telecom[system=email]`.
    pub(super) only: Option<(String, String)>,
}

/// A path of JSON names from the root, and the datatype at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) steps: Vec<Step>,
    pub(super) datatype: Datatype,
    /// As the table calls it.
    named: String,
    /// Of references, only those to these types; to any if there are none.
    pub(super) targets: Vec<ResourceType>,
    /// Its value is whether there is anything but `false`.
    pub(super) exists: bool,
}

/// A text that is no place.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a place in a resource")]
pub(super) struct NoPlace(String);

impl FromStr for Place {
    type Err = NoPlace;

    /// `path[name=value].path:Datatype`, `…:Reference(Patient|Group)`, `…:boolean!exists`.
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let wrong = || NoPlace(text.to_owned());
        let (path, named) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (named, exists) = match named.strip_suffix("!exists") {
            Some(named) => (named, true),
            None => (named, false),
        };
        let (bare, targets) = match named
            .strip_suffix(')')
            .and_then(|named| named.split_once('('))
        {
            Some((bare, targets)) => (bare, targets.split('|').map(str::parse).collect()),
            None => (named, Ok(Vec::new())),
        };
        let datatype = DATATYPES.iter().find(|(name, _)| *name == bare);
        Ok(Self {
            steps: path
                .split('.')
                .map(step)
                .collect::<Option<_>>()
                .ok_or_else(wrong)?,
            datatype: datatype.ok_or_else(wrong)?.1,
            named: named.to_owned(),
            targets: targets.map_err(|_| wrong())?,
            exists,
        })
    }
}

fn step(text: &str) -> Option<Step> {
    let Some((name, only)) = text.split_once('[') else {
        let name = text.to_owned();
        return (!name.is_empty()).then_some(Step { name, only: None });
    };
    let (child, value) = only.strip_suffix(']')?.split_once('=')?;
    Some(Step {
        name: name.to_owned(),
        only: Some((child.to_owned(), value.to_owned())),
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            write!(f, "{dot}{}", step.name)?;
            if let Some((child, value)) = &step.only {
                write!(f, "[{child}={value}]")?;
            }
        }
        let exists = if self.exists { "!exists" } else { "" };
        write!(f, ":{}{exists}", self.named)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_they_are_read() {
        for text in [
            "code:CodeableConcept",
            "telecom[system=email]:ContactPoint",
            "deceasedDateTime:dateTime!exists",
            "subject:Reference(Patient)",
            "actor:Reference(Patient|Location)",
            "a.b[c=d].e:SimpleQuantity",
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
        }
        for text in [
            "code",
            "code:Nothing",
            ":code",
            "a[b]:code",
            "s:Reference(Foo)",
            "?",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
