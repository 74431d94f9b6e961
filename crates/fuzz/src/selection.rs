//! `_typeFilter` and `_elements` over raw JSON: whatever a resource is, no query and no list of elements breaks on
//! it, and both at once are the same as one after the other.

use serde_json::{Map, Value};
use sluice_fhir::ResourceType;
use sluice_fhir::elements::{Elements, Trim, TrimScratch};
use sluice_fhir::search::{Filter, Matcher, Scratch};

use crate::parts::{first_line, text};

/// Takes the first line as a query, the second as elements and the rest as a resource.
///
/// # Panics
///
/// When a resource that can be read is not, or queries and elements disagree about what is left of it.
pub fn selection(data: &[u8]) {
    let (query, rest) = first_line(data);
    let (elements, line) = first_line(rest);
    let line = text(line);
    let filter = Filter::compile(&text(query), "http://test/fhir").ok();
    let kind = filter
        .as_ref()
        .map_or(ResourceType::PATIENT, |filter| filter.kind);
    let matcher = filter.as_ref().map(|filter| Matcher::new([filter]));
    let is_met = matcher
        .as_ref()
        .map(|matcher| matcher.matches(&line, &mut Scratch::default()));
    let mut asked = Elements::default();
    for element in text(elements).split(',') {
        let _unknown = asked.add(element);
    }
    let trim = asked.of(kind);
    let trimmed = trim.as_ref().map(|trim| trimmed(trim, &line, None));
    let Ok(resource) = serde_json::from_str::<Map<String, Value>>(&line) else {
        return;
    };
    let is_met = is_met.map(|is_met| must("matched", is_met));
    let (Some(trim), Some(trimmed)) = (&trim, trimmed) else {
        return;
    };
    let alone = must("trimmed", trimmed);
    let alone = alone.unwrap_or_default();
    holds(trim, &resource, &alone);
    let both = self::trimmed(trim, &line, matcher.as_ref());
    let both = must("chosen", both);
    let expected = (is_met != Some(false)).then_some(alone);
    assert_eq!(both, expected, "one walk and two differ");
}

fn trimmed(
    trim: &Trim,
    line: &str,
    queries: Option<&Matcher>,
) -> Result<Option<String>, serde_json::Error> {
    let mut out = Vec::new();
    let is_left = trim.line(line, queries, &mut TrimScratch::default(), &mut out)?;
    let out = must("read as text", String::from_utf8(out));
    assert!(is_left || out.is_empty());
    Ok(is_left.then_some(out))
}

/// What is left is a part of what was there, but for the tag; and trimming it again changes nothing.
fn holds(trim: &Trim, resource: &Map<String, Value>, left: &str) {
    let read: Map<String, Value> = must("read again", serde_json::from_str(left));
    for (name, value) in &read {
        assert!(
            name == "meta" || resource.get(name) == Some(value),
            "{name}"
        );
    }
    let again = must("trimmed again", trimmed(trim, left, None));
    assert_eq!(again.as_deref(), Some(left));
}

/// What can be read once has to be read everywhere.
#[expect(clippy::panic, reason = "this is how a target tells what it found")]
fn must<T, E: std::fmt::Display>(what: &str, found: Result<T, E>) -> T {
    found.unwrap_or_else(|error| panic!("a resource cannot be {what}: {error}"))
}
