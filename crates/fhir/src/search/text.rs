//! Searches of texts: the start of them whatever their case and accents, all of them, or a part.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::leaf::{self, Text, text};
use super::place::Datatype;

/// How a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum How {
    /// It begins with what is asked.
    Starts,
    /// It is what is asked, case and accents included.
    Exact,
    /// What is asked is somewhere in it.
    Contains,
}

/// What a text should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TextTest {
    how: How,
    /// Folded, unless it must be exact.
    wanted: String,
}

impl TextTest {
    pub(super) fn new(how: How, value: &str) -> Self {
        let wanted = match how {
            How::Exact => value.to_owned(),
            How::Starts | How::Contains => fold(value),
        };
        Self { how, wanted }
    }

    /// Whether one text is what is wanted.
    pub(super) fn fits(&self, text: &str) -> bool {
        match self.how {
            How::Exact => text == self.wanted,
            How::Starts => starts(text, &self.wanted),
            How::Contains => fold(text).contains(&self.wanted),
        }
    }

    /// Whether a value has a text that is what is wanted.
    pub(super) fn matches(&self, datatype: Datatype, json: &str) -> bool {
        self.in_value(datatype, json).unwrap_or(false)
    }

    fn in_value(&self, datatype: Datatype, json: &str) -> Option<bool> {
        let fits =
            |field: &Option<Text<'_>>| text(field.as_ref()).is_some_and(|text| self.fits(text));
        Some(match datatype {
            Datatype::HumanName => {
                let name: leaf::HumanName<'_> = leaf::read(json)?;
                fits(&name.text)
                    || fits(&name.family)
                    || [&name.given, &name.prefix, &name.suffix]
                        .into_iter()
                        .flatten()
                        .any(fits)
            }
            Datatype::Address => {
                let address: leaf::Address<'_> = leaf::read(json)?;
                let parts = [
                    &address.text,
                    &address.city,
                    &address.district,
                    &address.state,
                    &address.postal_code,
                    &address.country,
                ];
                parts.into_iter().any(fits) || address.line.iter().any(fits)
            }
            _ => self.fits(&leaf::read::<Text<'_>>(json)?.0),
        })
    }
}

/// Whether a text begins with what is folded already; most texts need not be folded to tell.
fn starts(text: &str, folded: &str) -> bool {
    if text.is_ascii() {
        let start = text.as_bytes().get(..folded.len());
        return start.is_some_and(|start| start.eq_ignore_ascii_case(folded.as_bytes()));
    }
    fold(text).starts_with(folded)
}

/// Without case and accents.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let plain = text.nfd().filter(|c| !is_combining_mark(*c));
    plain.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(how: How, wanted: &str, datatype: Datatype, json: &str) -> bool {
        TextTest::new(how, wanted).matches(datatype, json)
    }

    #[test]
    fn the_start_counts_and_case_and_accents_do_not() {
        let text = |wanted: &str, json: &str| matches(How::Starts, wanted, Datatype::Text, json);
        assert!(text("mull", r#""Müller""#));
        assert!(text("MÜL", r#""M\u00fcller""#));
        assert!(!text("uller", r#""Müller""#));
        assert!(!text("mullers", r#""Muller""#));
    }

    #[test]
    fn names_and_addresses_match_by_any_of_their_parts() {
        let name = r#"{"use":"official","family":"Smith","given":["Ann",null,"Zoë"]}"#;
        let matches = |how, wanted| matches(how, wanted, Datatype::HumanName, name);
        assert!(matches(How::Starts, "zoe"));
        assert!(matches(How::Exact, "Smith") && !matches(How::Exact, "smith"));
        assert!(matches(How::Contains, "MIT"));
        assert!(!matches(How::Starts, "official"));
    }

    #[test]
    fn what_has_another_shape_matches_nothing() {
        assert!(!matches(How::Contains, "1", Datatype::Text, "1"));
        assert!(!matches(How::Contains, "a", Datatype::HumanName, "[1]"));
    }
}
