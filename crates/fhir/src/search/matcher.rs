//! Holds the queries of a type against the raw JSON of its resources: one walk over a line finds the values
//! at every place that any of them asks for, and builds nothing else.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::criterion::{Criterion, values};
use super::place::Place;
use super::query::Filter;

/// Queries of one type, any of which a resource may meet (R-080).
#[derive(Debug)]
pub struct Matcher {
    queries: Vec<Vec<Held>>,
    root: Node,
}

/// A condition, and for each of its places the node where its values are found.
#[derive(Debug)]
struct Held {
    criterion: Criterion,
    ends: Vec<End>,
}

#[derive(Debug)]
struct End {
    node: usize,
    /// The step of the place that the node stands for.
    step: usize,
}

/// An element on the way to a place.
#[derive(Debug, Default)]
struct Node {
    children: Vec<(String, Node)>,
    /// Its number, if values are taken here.
    taken: Option<usize>,
}

/// Where in a line the values of nodes stand; kept from line to line so that it need not grow again.
#[derive(Debug, Default)]
pub struct Scratch(Vec<(usize, Range<usize>)>);

impl Matcher {
    /// Of queries of the same type.
    pub fn new<'f>(filters: impl IntoIterator<Item = &'f Filter>) -> Self {
        let mut matcher = Self {
            queries: Vec::new(),
            root: Node::default(),
        };
        let mut nodes = 0;
        for filter in filters {
            let held = filter.criteria().iter().map(|criterion| Held {
                criterion: criterion.clone(),
                ends: { criterion.places().iter() }
                    .map(|place| matcher.root.take(place, &mut nodes))
                    .collect(),
            });
            matcher.queries.push(held.collect());
        }
        matcher
    }

    /// Whether a resource, a whole JSON object, meets any of the queries.
    pub fn matches(&self, line: &str, scratch: &mut Scratch) -> Result<bool, serde_json::Error> {
        scratch.clear();
        let mut json = serde_json::Deserializer::from_str(line);
        let walk = Walk {
            node: &self.root,
            line,
            found: &mut scratch.0,
        };
        walk.deserialize(&mut json)?;
        json.end()?;
        Ok(self.is_met(line, scratch))
    }

    /// What is asked for in the root element of this name, for whoever walks over the line themselves.
    pub(crate) fn root(&self, name: &str) -> Option<Asked<'_>> {
        self.root.child(name).map(Asked)
    }

    /// Whether what was taken of a line meets any of the queries.
    pub(crate) fn is_met(&self, line: &str, scratch: &Scratch) -> bool {
        let is_met = |held: &Held| held.is_met(line, &scratch.0);
        self.queries.iter().any(|query| query.iter().all(is_met))
    }
}

/// What a matcher asks for in a root element.
pub(crate) struct Asked<'n>(&'n Node);

impl Asked<'_> {
    /// Takes the values that are asked for from the element's value, which stands in the line.
    pub(crate) fn take(
        &self,
        line: &str,
        value: &RawValue,
        scratch: &mut Scratch,
    ) -> Result<(), serde_json::Error> {
        let mut walk = Walk {
            node: self.0,
            line,
            found: &mut scratch.0,
        };
        match self.0.taken {
            Some(number) => walk.take(self.0, number, value),
            None => walk.deserialize(&mut serde_json::Deserializer::from_str(value.get())),
        }
    }
}

impl Scratch {
    /// Begins a new line.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Held {
    fn is_met(&self, line: &str, found: &[(usize, Range<usize>)]) -> bool {
        self.criterion.is_met(|wanted| {
            let mut places = self.criterion.places().iter().zip(&self.ends);
            places.any(|(place, end)| {
                let here = found.iter().filter(|(node, _)| *node == end.node);
                { here }.any(|(_, range)| {
                    let json = line.get(range.clone()).unwrap_or_default();
                    values(place, end.step, json, &mut |value| wanted(place, value))
                })
            })
        })
    }
}

impl Node {
    /// Takes the values of a place, as far down as its path does not narrow.
    fn take(&mut self, place: &Place, nodes: &mut usize) -> End {
        let (mut node, mut at) = (self, 0);
        for (step, next) in place.steps.iter().enumerate() {
            let known = node
                .children
                .iter()
                .position(|(name, _)| *name == next.name);
            let index = known.unwrap_or_else(|| {
                node.children.push((next.name.clone(), Node::default()));
                node.children.len() - 1
            });
            (node, at) = (&mut node.children[index].1, step);
            if next.only.is_some() {
                break;
            }
        }
        let number = node.taken.get_or_insert_with(|| {
            *nodes += 1;
            *nodes
        });
        End {
            node: *number,
            step: at,
        }
    }

    fn child(&self, name: &str) -> Option<&Self> {
        let mut children = self.children.iter();
        children
            .find(|(known, _)| known == name)
            .map(|(_, child)| child)
    }
}

/// Goes down from a node.
struct Walk<'n, 'f, 'de> {
    node: &'n Node,
    line: &'de str,
    found: &'f mut Vec<(usize, Range<usize>)>,
}

impl<'de> Walk<'_, '_, 'de> {
    /// Notes where a value stands, and looks further down in it if there is more to find.
    fn take(
        &mut self,
        node: &Node,
        number: usize,
        value: &'de RawValue,
    ) -> Result<(), serde_json::Error> {
        let start = value
            .get()
            .as_ptr()
            .addr()
            .saturating_sub(self.line.as_ptr().addr());
        self.found.push((number, start..start + value.get().len()));
        if node.children.is_empty() {
            return Ok(());
        }
        let inner = Walk {
            node,
            line: self.line,
            found: &mut *self.found,
        };
        inner.deserialize(&mut serde_json::Deserializer::from_str(value.get()))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(Child(self.node))? {
            let Some(child) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Some(number) = child.taken {
                let value = map.next_value()?;
                self.take(child, number, value).map_err(A::Error::custom)?;
            } else {
                map.next_value_seed(Walk {
                    node: child,
                    line: self.line,
                    found: &mut *self.found,
                })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list
            .next_element_seed(Walk {
                node: self.node,
                line: self.line,
                found: &mut *self.found,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

/// The node that a member's name leads to.
struct Child<'n>(&'n Node);

impl<'de, 'n> DeserializeSeed<'de> for Child<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Child<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.child(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(queries: &[&str], line: &str) -> bool {
        let filters: Vec<Filter> = queries
            .iter()
            .map(|query| Filter::compile(query, "http://h/fhir").unwrap())
            .collect();
        let matcher = Matcher::new(&filters);
        matcher.matches(line, &mut Scratch::default()).unwrap()
    }

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","name":[{"family":"Smith","given":["Ann"]},{"family":"Jones"}],
        "telecom":[{"system":"phone","value":"1"},{"system":"email","value":"a@b"}],"birthDate":"1980-02-03",
        "active":true,"meta":{"lastUpdated":"2026-01-01T00:00:00.5Z","tag":[{"system":"t","code":"x"}]}}"#;

    #[test]
    fn r_080_queries_are_alternatives_and_r_076_their_parts_are_not() {
        assert!(meets(&["Patient?family=smith&birthdate=1980"], PATIENT));
        assert!(!meets(&["Patient?family=smith&birthdate=1981"], PATIENT));
        assert!(meets(
            &["Patient?birthdate=1981", "Patient?name=ann&family=jones"],
            PATIENT
        ));
        assert!(!meets(&["Patient?family=smith&family=brown"], PATIENT));
        assert!(meets(&["Patient?family=brown,JONES"], PATIENT));
    }

    #[test]
    fn places_that_narrow_see_only_what_they_should() {
        assert!(meets(&["Patient?email=a@b"], PATIENT) && !meets(&["Patient?email=1"], PATIENT));
        assert!(meets(&["Patient?phone:missing=false"], PATIENT));
        assert!(meets(&["Patient?telecom=1&email:not=1"], PATIENT));
    }

    #[test]
    fn what_is_missing_is_missing_and_is_not_anything() {
        assert!(meets(&["Patient?gender:missing=true"], PATIENT));
        assert!(!meets(&["Patient?gender=female"], PATIENT));
        assert!(meets(&["Patient?gender:not=female"], PATIENT));
        assert!(meets(&["Patient?deceased=false"], PATIENT));
        let dead = r#"{"resourceType":"Patient","deceasedDateTime":"2020"}"#;
        assert!(meets(&["Patient?deceased=true"], dead));
        assert!(meets(&["Patient?name:missing=true"], r#"{"name":[]}"#));
        assert!(meets(&["Patient?name:missing=true"], r#"{"name":null}"#));
    }

    #[test]
    fn a_reference_to_another_type_is_missing_where_only_some_count() {
        let of_group = r#"{"subject":{"reference":"Group/1"}}"#;
        assert!(meets(&["Observation?patient:missing=true"], of_group));
        assert!(meets(&["Observation?subject:missing=false"], of_group));
        let of_patient = r#"{"subject":{"reference":"Patient/1"}}"#;
        assert!(meets(&["Observation?patient:missing=false"], of_patient));
    }

    #[test]
    fn every_type_has_some_parameters() {
        for query in [
            "_id=p",
            "_tag=t|x",
            "_lastUpdated=ge2026-01-01T00:00:00Z",
            "_id=a,p",
        ] {
            assert!(meets(&[&format!("Patient?{query}")], PATIENT), "{query}");
        }
        assert!(!meets(
            &["Patient?_lastUpdated=sa2026-01-01T00:00:00Z"],
            PATIENT
        ));
    }

    #[test]
    fn broken_json_is_told() {
        let filter = Filter::compile("Patient?active=true", "").unwrap();
        let matcher = Matcher::new([&filter]);
        let scratch = &mut Scratch::default();
        for line in ["{", r#"{"active":tru}"#, "{} {}"] {
            assert!(matcher.matches(line, scratch).is_err(), "{line}");
        }
    }
}
