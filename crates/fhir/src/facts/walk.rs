//! Walks the JSON of a line without building it, and remembers the few texts that matter.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::reason::Reason;

/// Where in the resource a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Root,
    Type,
    Id,
    Meta,
    Updated,
    Reference,
    Identifier,
    Other,
}

impl Slot {
    fn member(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "resourceType") => Self::Type,
            (Self::Root, "id") => Self::Id,
            (Self::Root, "meta") => Self::Meta,
            (Self::Meta, "lastUpdated") => Self::Updated,
            (_, "reference") => Self::Reference,
            (Self::Other, "identifier") => Self::Identifier,
            _ => Self::Other,
        }
    }
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Seen<'de> {
    pub(super) is_object: bool,
    pub(super) kind: Option<Cow<'de, str>>,
    pub(super) id: Option<Cow<'de, str>>,
    pub(super) updated: Option<Cow<'de, str>>,
    pub(super) broken: Option<Reason>,
    /// Names of the elements down to the present one, dotted.
    path: String,
    /// Paths of the references, one after the other.
    pub(super) paths: String,
    pub(super) references: Vec<(Range<usize>, Cow<'de, str>)>,
    /// Paths of what has an `identifier`: a reference may name its target by that alone.
    pub(super) identified: Vec<Range<usize>>,
}

impl<'de> Seen<'de> {
    /// Walks a line.
    pub(super) fn walk(text: &'de str) -> Result<Self, serde_json::Error> {
        let mut seen = Self::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let root = Node {
            seen: &mut seen,
            slot: Slot::Root,
        };
        root.deserialize(&mut json)?;
        json.end()?;
        Ok(seen)
    }

    fn text(&mut self, slot: Slot, text: Cow<'de, str>) {
        match slot {
            Slot::Type => self.broken(self.kind.is_some(), Reason::NoType),
            Slot::Id => self.broken(self.id.is_some(), Reason::NoId),
            _ => {}
        }
        match slot {
            Slot::Type => self.kind = Some(text),
            Slot::Id => self.id = Some(text),
            Slot::Updated => self.updated = Some(text),
            Slot::Reference => {
                let start = self.paths.len();
                self.paths.push_str(&self.path);
                self.references.push((start..self.paths.len(), text));
            }
            Slot::Root | Slot::Meta | Slot::Identifier | Slot::Other => {}
        }
    }

    /// Notes that the value at the present path has an `identifier`.
    fn identified(&mut self) {
        let start = self.paths.len();
        self.paths.push_str(&self.path);
        self.identified.push(start..self.paths.len());
    }

    fn not_a_text(&mut self, slot: Slot) {
        match slot {
            Slot::Type => self.broken(true, Reason::NoType),
            Slot::Id => self.broken(true, Reason::NoId),
            Slot::Updated => self.broken(true, Reason::BadUpdated),
            _ => {}
        }
    }

    fn broken(&mut self, is_so: bool, reason: Reason) {
        if is_so {
            self.broken.get_or_insert(reason);
        }
    }
}

/// A value and all below it.
struct Node<'s, 'de> {
    seen: &'s mut Seen<'de>,
    slot: Slot,
}

impl<'de> DeserializeSeed<'de> for Node<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.seen.not_a_text(self.slot);
        self.seen.is_object |= self.slot == Slot::Root;
        loop {
            let length = self.seen.path.len();
            let key = Key {
                path: &mut self.seen.path,
                parent: self.slot,
            };
            let Some(slot) = map.next_key_seed(key)? else {
                return Ok(());
            };
            if slot == Slot::Identifier {
                self.seen.path.truncate(length);
                self.seen.identified();
            }
            map.next_value_seed(Node {
                seen: self.seen,
                slot,
            })?;
            self.seen.path.truncate(length);
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.seen.not_a_text(self.slot);
        while list
            .next_element_seed(Node {
                seen: self.seen,
                slot: Slot::Other,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.seen.text(self.slot, Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !matches!(
            self.slot,
            Slot::Root | Slot::Meta | Slot::Identifier | Slot::Other
        ) {
            self.seen.text(self.slot, Cow::Owned(text.to_owned()));
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.seen.not_a_text(self.slot);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.visit_unit()
    }
}

/// A member's name, put onto the path unless it is `reference` itself.
struct Key<'s> {
    path: &'s mut String,
    parent: Slot,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Slot, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Slot, E> {
        let slot = self.parent.member(key);
        if slot != Slot::Reference {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(key);
        }
        Ok(slot)
    }
}
