//! One `parameter[:modifier]=value` of a query: where its values stand and what one of them must be.

use serde::{Deserialize, Serialize};

use super::date::DateTest;
use super::definitions::{Definition, ParameterType};
use super::leaf;
use super::number::{NumberTest, QuantityTest};
use super::place::{Datatype, Place};
use super::query::{alternatives, unescape};
use super::reference::ReferenceTest;
use super::text::{How, TextTest};
use super::token::{TokenTest, text_matches, text_test};
use super::uri::{self, UriTest};
use crate::{Reference, ResourceType};

/// A condition that a resource meets or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    code: String,
    places: Vec<Place>,
    test: Test,
    /// `:not`: what meets the test does not meet the condition.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    negated: bool,
}

/// What a value must be: any of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Test {
    Missing(bool),
    Exists(Vec<bool>),
    Token(Vec<TokenTest>),
    Reading(Vec<TextTest>),
    Text(Vec<TextTest>),
    Date(Vec<DateTest>),
    Number(Vec<NumberTest>),
    Quantity(Vec<QuantityTest>),
    Reference(Vec<ReferenceTest>),
    Uri(Vec<UriTest>),
}

/// Why a condition cannot be held against resources; a sentence's end, without any value.
pub(super) type Reason = String;

/// What a condition is made from.
pub(super) struct Asked<'a> {
    pub(super) definition: &'static Definition,
    pub(super) modifier: Option<&'a str>,
    pub(super) value: &'a str,
    /// Our own URL.
    pub(super) base: &'a str,
}

impl Criterion {
    pub(super) fn compile(asked: &Asked<'_>) -> Result<Self, Reason> {
        let Definition { code, places, .. } = asked.definition;
        let (test, negated) = test(asked)?;
        Ok(Self {
            code: (*code).to_owned(),
            places: places.clone(),
            test,
            negated,
        })
    }

    /// The parameter's name.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whether it asks for tokens that stand there with their systems, or for ids, by nothing but their codes.
    pub(super) fn is_plain_token(&self) -> bool {
        let has_system = |place: &Place| {
            matches!(
                place.datatype,
                Datatype::CodeableConcept | Datatype::Coding | Datatype::Identifier
            )
        };
        let is_token = matches!(self.test, Test::Token(_)) && !self.negated;
        is_token && (self.code == "_id" || self.places.iter().all(has_system))
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Whether a resource meets it; `any` calls for each of its values, with the place where it stands,
    /// until one call says yes.
    pub(super) fn is_met(
        &self,
        any: impl FnOnce(&mut dyn FnMut(&Place, &str) -> bool) -> bool,
    ) -> bool {
        let met = match &self.test {
            Test::Missing(missing) => any(&mut leads_where_it_may) != *missing,
            Test::Exists(wanted) => {
                let exists = any(&mut |_, json| json != "false");
                wanted.contains(&exists)
            }
            _ => any(&mut |place, json| self.test.is_met(place, json)),
        };
        met != self.negated
    }
}

impl Test {
    fn is_met(&self, place: &Place, json: &str) -> bool {
        let datatype = place.datatype;
        match self {
            Self::Missing(_) | Self::Exists(_) => false,
            Self::Token(tests) => tests.iter().any(|test| test.matches(datatype, json)),
            Self::Reading(tests) => tests.iter().any(|test| text_matches(test, datatype, json)),
            Self::Text(tests) => tests.iter().any(|test| test.matches(datatype, json)),
            Self::Date(tests) => tests.iter().any(|test| test.matches(datatype, json)),
            Self::Number(tests) => tests.iter().any(|test| test.matches(json)),
            Self::Quantity(tests) => tests.iter().any(|test| test.matches(datatype, json)),
            Self::Reference(tests) => tests.iter().any(|test| test.matches(place, json)),
            Self::Uri(tests) => tests.iter().any(|test| test.matches(datatype, json)),
        }
    }
}

/// Of references only to some types, others are none.
fn leads_where_it_may(place: &Place, json: &str) -> bool {
    if place.targets.is_empty() {
        return true;
    }
    let found = leaf::read::<leaf::Reference<'_>>(json);
    let text = found
        .as_ref()
        .and_then(|found| leaf::text(found.reference.as_ref()));
    let target = text.and_then(Reference::parse);
    target.is_some_and(|target| place.targets.contains(&target.resource_type))
}

/// The test, and whether it is to fail.
fn test(asked: &Asked<'_>) -> Result<(Test, bool), Reason> {
    let kind = asked.definition.kind;
    let modifier = asked.modifier;
    if modifier == Some("missing") {
        return match asked.value {
            "true" => Ok((Test::Missing(true), false)),
            "false" => Ok((Test::Missing(false), false)),
            _ => Err("takes true or false".to_owned()),
        };
    }
    let unknown = || Err(format!("has no modifier {} here", shown(modifier)));
    let plain = |test: Result<Test, Reason>| test.map(|test| (test, false));
    match (kind, modifier) {
        (ParameterType::Token, None) => plain(token(asked)),
        (ParameterType::Token, Some("not")) => token(asked).map(|test| (test, true)),
        (ParameterType::Token, Some("text")) => {
            plain(each(asked, |value| Some(text_test(&unescape(value)))).map(Test::Reading))
        }
        (ParameterType::String, None) => plain(texts(asked, How::Starts)),
        (ParameterType::String, Some("exact")) => plain(texts(asked, How::Exact)),
        (ParameterType::String, Some("contains")) => plain(texts(asked, How::Contains)),
        (ParameterType::Uri, None) => plain(uris(asked, uri::How::Is)),
        (ParameterType::Uri, Some("below")) => plain(uris(asked, uri::How::Below)),
        (ParameterType::Uri, Some("above")) => plain(uris(asked, uri::How::Above)),
        (ParameterType::Date, None) => plain(each(asked, DateTest::read).map(Test::Date)),
        (ParameterType::Number, None) => plain(each(asked, NumberTest::read).map(Test::Number)),
        (ParameterType::Quantity, None) => {
            plain(each(asked, QuantityTest::read).map(Test::Quantity))
        }
        (ParameterType::Reference, None) => plain(references(asked, None)),
        (ParameterType::Reference, Some("identifier")) => plain(
            each(asked, |value| {
                TokenTest::read(value).map(ReferenceTest::Identifier)
            })
            .map(Test::Reference),
        ),
        (ParameterType::Reference, Some(name)) => match name.parse::<ResourceType>() {
            Ok(target) if may_be_to(asked, target) => plain(references(asked, Some(target))),
            _ => unknown(),
        },
        _ => unknown(),
    }
}

fn shown(modifier: Option<&str>) -> String {
    modifier.unwrap_or_default().chars().take(32).collect()
}

/// The tests of the values between commas.
fn each<T>(asked: &Asked<'_>, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Reason> {
    let tests: Option<Vec<T>> = alternatives(asked.value).into_iter().map(read).collect();
    tests.ok_or_else(|| format!("has a value that is no {}", asked.definition.kind.name()))
}

fn token(asked: &Asked<'_>) -> Result<Test, Reason> {
    let tests = each(asked, TokenTest::read)?;
    let places = &asked.definition.places;
    if places.iter().any(|place| place.exists) {
        let flags = tests.iter().map(|test| match test.code() {
            Some(code) if code.eq_ignore_ascii_case("true") => Some(true),
            Some(code) if code.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        });
        let flags: Option<Vec<bool>> = flags.collect();
        return flags
            .map(Test::Exists)
            .ok_or_else(|| "takes true or false".to_owned());
    }
    // The system of a plain code is not written beside it, so it cannot be compared.
    let is_bare = |place: &Place| {
        matches!(
            place.datatype,
            Datatype::Code
                | Datatype::Boolean
                | Datatype::ContactPoint
                | Datatype::Text
                | Datatype::Uri
        )
    };
    if tests.iter().any(TokenTest::names_system) && places.iter().all(is_bare) {
        return Err("is a plain code here; give it without a system".to_owned());
    }
    Ok(Test::Token(tests))
}

fn texts(asked: &Asked<'_>, how: How) -> Result<Test, Reason> {
    each(asked, |value| Some(TextTest::new(how, &unescape(value)))).map(Test::Text)
}

fn uris(asked: &Asked<'_>, how: uri::How) -> Result<Test, Reason> {
    let test = |value: &str| {
        Some(UriTest {
            how,
            wanted: unescape(value),
        })
    };
    each(asked, test).map(Test::Uri)
}

fn may_be_to(asked: &Asked<'_>, target: ResourceType) -> bool {
    let targets = asked.definition.targets.as_ref();
    targets.is_none_or(|targets| targets.contains(&target))
}

/// `only`: the type that a modifier names; ids are then of that type.
fn references(asked: &Asked<'_>, only: Option<ResourceType>) -> Result<Test, Reason> {
    let targets = asked.definition.targets.as_deref().unwrap_or_default();
    let types = only.as_ref().map_or(targets, std::slice::from_ref);
    let read = |value: &str| ReferenceTest::read(&unescape(value), types, asked.base);
    each(asked, read).map(Test::Reference)
}

/// Calls for each value at a place, from the element where its path first narrows down; whether any call
/// said yes.
pub(super) fn values<'a>(
    place: &Place,
    from: usize,
    json: &'a str,
    wanted: &mut impl FnMut(&'a str) -> bool,
) -> bool {
    leaf::any(json, &mut |value| {
        let Some(step) = place.steps.get(from) else {
            return wanted(value);
        };
        if let Some((child, only)) = &step.only {
            let found = leaf::member(value, child);
            if found
                .and_then(leaf::read::<leaf::Text<'_>>)
                .is_none_or(|text| text.0 != *only)
            {
                return false;
            }
        }
        match place.steps.get(from + 1) {
            None => wanted(value),
            Some(next) => leaf::member(value, &next.name)
                .is_some_and(|value| values(place, from + 1, value, wanted)),
        }
    })
}
