//! Searches of tokens: codes, identifiers, contact points and flags, with or without their system.

use serde::{Deserialize, Serialize};

use super::leaf::{self, Text, text};
use super::place::Datatype;
use super::query::parts;
use super::text::{How, TextTest};

/// Which system a token should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum System {
    Any,
    None,
    Is(String),
}

/// What a token should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenTest {
    system: System,
    /// Any, if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl TokenTest {
    /// `code`, `system|code`, `|code` or `system|`, escaped as FHIR has it; `None` for anything else.
    pub(super) fn read(value: &str) -> Option<Self> {
        let mut parts = parts(value, '|');
        let (first, second) = (parts.next()?, parts.next());
        let system = match (&second, first.is_empty()) {
            (None, _) => System::Any,
            (Some(_), true) => System::None,
            (Some(_), false) => System::Is(first.clone()),
        };
        let code = second.unwrap_or(first);
        let code = (!code.is_empty()).then_some(code);
        let asks_something = code.is_some() || matches!(system, System::Is(_));
        (parts.next().is_none() && asks_something).then_some(Self { system, code })
    }

    /// Whether a system is asked for.
    pub(super) fn names_system(&self) -> bool {
        matches!(self.system, System::Is(_))
    }

    /// The code, whatever the system.
    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    fn fits(&self, system: Option<&str>, code: Option<&str>) -> bool {
        let has_system = match &self.system {
            System::Any => true,
            System::None => system.is_none(),
            System::Is(wanted) => system == Some(wanted),
        };
        // `system|` asks for a system alone, and a token may have that without a code.
        let has_code = match &self.code {
            Some(wanted) => code == Some(wanted),
            None => true,
        };
        has_system && has_code
    }

    /// Whether a value is what is wanted.
    pub(super) fn matches(&self, datatype: Datatype, json: &str) -> bool {
        self.in_value(datatype, json).unwrap_or(false)
    }

    fn in_value(&self, datatype: Datatype, json: &str) -> Option<bool> {
        Some(match datatype {
            Datatype::CodeableConcept => {
                let concept: leaf::CodeableConcept<'_> = leaf::read(json)?;
                concept.coding.iter().any(|coding| self.is_coding(coding))
            }
            Datatype::Coding => self.is_coding(&leaf::read(json)?),
            Datatype::Identifier => self.is_identifier(&leaf::read(json)?),
            Datatype::ContactPoint => {
                let point: leaf::ContactPoint<'_> = leaf::read(json)?;
                self.fits(None, text(point.value.as_ref()))
            }
            Datatype::Boolean => {
                let flag = if leaf::read(json)? { "true" } else { "false" };
                let wanted = self.code.as_deref()?;
                !self.names_system() && wanted.eq_ignore_ascii_case(flag)
            }
            _ => self.fits(None, Some(&leaf::read::<Text<'_>>(json)?.0)),
        })
    }

    fn is_coding(&self, coding: &leaf::Coding<'_>) -> bool {
        self.fits(text(coding.system.as_ref()), text(coding.code.as_ref()))
    }

    /// Whether an identifier is what is wanted.
    pub(super) fn is_identifier(&self, found: &leaf::Identifier<'_>) -> bool {
        self.fits(text(found.system.as_ref()), text(found.value.as_ref()))
    }
}

/// `:text`: whether what people read of a token begins so.
pub(super) fn text_matches(wanted: &TextTest, datatype: Datatype, json: &str) -> bool {
    let fits =
        |field: &Option<Text<'_>>| text(field.as_ref()).is_some_and(|text| wanted.fits(text));
    let of_concept = |concept: &leaf::CodeableConcept<'_>| {
        fits(&concept.text) || concept.coding.iter().any(|coding| fits(&coding.display))
    };
    let found = match datatype {
        Datatype::CodeableConcept => leaf::read(json).map(|concept| of_concept(&concept)),
        Datatype::Coding => leaf::read(json).map(|coding: leaf::Coding<'_>| fits(&coding.display)),
        Datatype::Identifier => leaf::read(json).map(|found: leaf::Identifier<'_>| {
            found.kind.as_ref().is_some_and(|kind| fits(&kind.text))
        }),
        _ => None,
    };
    found.unwrap_or(false)
}

/// What `:text` asks for.
pub(super) fn text_test(value: &str) -> TextTest {
    TextTest::new(How::Starts, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONCEPT: &str =
        r#"{"coding":[{"system":"s","code":"a","display":"Alpha"},{"code":"b"}],"text":"Beta"}"#;

    fn concept(wanted: &str) -> bool {
        TokenTest::read(wanted)
            .unwrap()
            .matches(Datatype::CodeableConcept, CONCEPT)
    }

    #[test]
    fn systems_may_be_any_one_or_none() {
        for wanted in ["a", "s|a", "s|", "b", "|b"] {
            assert!(concept(wanted), "{wanted}");
        }
        for wanted in ["A", "|a", "s|b", "t|a", "t|", "c"] {
            assert!(!concept(wanted), "{wanted}");
        }
        for wanted in ["", "|", "a|b|c"] {
            assert!(TokenTest::read(wanted).is_none(), "{wanted}");
        }
    }

    #[test]
    fn escaped_bars_are_part_of_the_code() {
        let json = r#"{"system":"s","value":"a|b"}"#;
        let is = |wanted: &str| {
            TokenTest::read(wanted)
                .unwrap()
                .matches(Datatype::Identifier, json)
        };
        assert!(is(r"a\|b") && is(r"s|a\|b") && !is("a"));
    }

    #[test]
    fn flags_and_plain_codes() {
        let is =
            |wanted: &str, datatype, json| TokenTest::read(wanted).unwrap().matches(datatype, json);
        assert!(is("TRUE", Datatype::Boolean, "true"));
        assert!(!is("true", Datatype::Boolean, "false"));
        assert!(is("final", Datatype::Code, r#""final""#));
        assert!(is("|final", Datatype::Code, r#""final""#));
        assert!(!is("final", Datatype::Code, "5"));
    }

    #[test]
    fn text_is_what_people_read() {
        let is =
            |wanted: &str| text_matches(&text_test(wanted), Datatype::CodeableConcept, CONCEPT);
        assert!(is("alp") && is("BETA") && !is("a b"));
    }
}
