//! The text of a query, `Type?parameter[:modifier]=value&…`, compiled to conditions.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::criterion::{Asked, Criterion};
use super::definitions::{Definition, parameters};
use crate::{ResourceType, shown};

/// Parameters that order, page or shape a search's result; they do not choose (R-077).
const OF_RESULTS: [&str; 14] = [
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_format",
    "_graph",
    "_include",
    "_maxresults",
    "_offset",
    "_pretty",
    "_revinclude",
    "_sort",
    "_summary",
    "_total",
];

/// More than the name of any type.
const LONGEST_NAME: usize = 64;

/// A query of one type, compiled (R-078).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The type whose resources it chooses from.
    #[serde(rename = "type")]
    pub kind: ResourceType,
    /// What follows the question mark, as it was asked.
    pub query: String,
    criteria: Vec<Criterion>,
}

/// A query that cannot be answered exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unsearchable {
    /// The type that it is about, if it names one.
    pub kind: Option<ResourceType>,
    /// Why, in a sentence without any value of the query.
    pub text: String,
}

impl Filter {
    /// Compiles a query; of its percent-escapes only its own are left (T-011). `base` is our own URL.
    pub fn compile(text: &str, base: &str) -> Result<Self, Unsearchable> {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let kind: Option<ResourceType> = name.parse().ok();
        let wrong = |text: String| Unsearchable { kind, text };
        let Some(known) = kind else {
            let text =
                "each _typeFilter begins with one resource type of FHIR R4 and a question mark";
            return Err(wrong(text.to_owned()));
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let criteria = pairs.map(|pair| criterion(known, pair, base).map_err(wrong));
        let criteria: Vec<Option<Criterion>> = criteria.collect::<Result<_, _>>()?;
        let criteria: Vec<Criterion> = criteria.into_iter().flatten().collect();
        if criteria.is_empty() {
            return Err(wrong(format!(
                "a _typeFilter of {known} has no search parameter"
            )));
        }
        Ok(Self {
            kind: known,
            query: query.to_owned(),
            criteria,
        })
    }

    /// Its parts that any server understands as we do, decoded: names and values of plain codes with their systems,
    /// and ids.
    pub fn plain(&self) -> impl Iterator<Item = (String, String)> {
        let parts = self.query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decode(name)?, decode(value)?))
        });
        parts.filter(|(name, value)| {
            let mut asked = self.criteria.iter().filter(|one| one.code() == name);
            let is_plain = asked.next().is_some_and(Criterion::is_plain_token);
            is_plain && !value.is_empty() && !value.contains('\\')
        })
    }

    /// Its conditions; all must be met.
    pub fn criteria(&self) -> &[Criterion] {
        &self.criteria
    }
}

/// A parameter without a value is as good as none, once it is one that could have a value (T-008).
fn criterion(kind: ResourceType, pair: &str, base: &str) -> Result<Option<Criterion>, String> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let (name, value) = (decode(name), decode(value));
    let (Some(name), Some(value)) = (name, value) else {
        return Err(format!(
            "a _typeFilter of {kind} is not UTF-8 once percent-decoded"
        ));
    };
    let (code, modifier) = match name.split_once(':') {
        Some((code, modifier)) => (code, Some(modifier)),
        None => (&*name, None),
    };
    let shown = shown(&name);
    let refuse = |why: &str| Err(format!("{kind}?{shown} {why}"));
    if OF_RESULTS.contains(&code) {
        return refuse("is about a search's result; a _typeFilter only chooses resources");
    }
    if code == "_has" || name.contains('.') {
        return refuse(
            "looks at other resources; a _typeFilter here looks only at the resource itself",
        );
    }
    let definition = parameters(kind).find(|found| found.code == code);
    let Some(definition) = definition else {
        return refuse("is not a search parameter of FHIR R4");
    };
    if !Definition::is_searchable(definition) {
        return refuse("is a search parameter that this server does not answer");
    }
    if value.is_empty() {
        return Ok(None);
    }
    let asked = Asked {
        definition,
        modifier,
        value: &value,
        base,
    };
    Criterion::compile(&asked)
        .map(Some)
        .or_else(|why| refuse(&why))
}

fn decode(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The queries of a `_typeFilter`. Version 1 of the guide joins whole queries with commas; a comma stands
/// between two only where a type and a question mark follow it, for FHIR also has commas in values (T-009).
pub fn split(value: &str) -> Vec<&str> {
    let (mut queries, mut start) = (Vec::new(), 0);
    for (at, _) in value.match_indices(',') {
        let next = &value[at + 1..];
        // No type has a longer name, so no comma makes the whole rest be looked through.
        let near = next
            .char_indices()
            .nth(LONGEST_NAME)
            .map_or(next, |(end, _)| &next[..end]);
        let name = near
            .split_once('?')
            .map_or("", |(name, _)| name.trim_start());
        if name.parse::<ResourceType>().is_ok() {
            queries.push(value[start..at].trim());
            start = at + 1;
        }
    }
    queries.push(value[start..].trim());
    queries
}

/// The values between commas that are not escaped; escapes stay.
pub(super) fn alternatives(value: &str) -> Vec<&str> {
    let (mut found, mut start, mut is_escaped) = (Vec::new(), 0, false);
    for (at, c) in value.char_indices() {
        if c == ',' && !is_escaped {
            found.push(&value[start..at]);
            start = at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    found.push(&value[start..]);
    found
}

/// The parts between separators that are not escaped, unescaped.
pub(super) fn parts(value: &str, separator: char) -> impl Iterator<Item = String> {
    unescaped(value, Some(separator)).into_iter()
}

/// A value without its escapes.
pub(super) fn unescape(value: &str) -> String {
    unescaped(value, None).concat()
}

fn unescaped(value: &str, separator: Option<char>) -> Vec<String> {
    let (mut parts, mut part, mut is_escaped) = (Vec::new(), String::new(), false);
    for c in value.chars() {
        match c {
            _ if is_escaped => {
                if !matches!(c, ',' | '|' | '$' | '\\') {
                    part.push('\\');
                }
                part.push(c);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            _ if Some(c) == separator => parts.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    if is_escaped {
        part.push('\\');
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> String {
        Filter::compile(query, "http://h").unwrap_err().text
    }

    #[test]
    fn r_083_what_cannot_be_answered_is_refused_by_name_and_without_its_value() {
        for (query, why) in [
            (
                "Observation?subject:Patient.name=secret",
                "subject:Patient.name",
            ),
            (
                "Observation?subject.name=secret",
                "looks at other resources",
            ),
            (
                "Patient?_has:Observation:patient:code=secret",
                "looks at other resources",
            ),
            ("Patient?_sort=secret", "result"),
            ("Patient?_count=5", "result"),
            ("Patient?_sort=&gender=male", "result"),
            ("Patient?colour&gender=male", "not a search parameter"),
            ("Patient?colour=secret", "not a search parameter"),
            ("Observation?code-value-quantity=secret", "does not answer"),
            ("Observation?code:in=secret", "modifier in"),
            ("Observation?date=secret", "no date"),
            ("Observation?status=s|secret", "without a system"),
            ("Patient?active:missing=secret", "true or false"),
            ("Patient?name=", "no search parameter"),
            ("Patient?", "no search parameter"),
            ("Foo?name=secret", "resource type"),
            ("?name=secret", "resource type"),
            ("Patient/1/Observation?code=secret", "resource type"),
            ("Patient?name=%FF", "UTF-8"),
        ] {
            let text = refused(query);
            assert!(text.contains(why), "{query}: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn t_009_commas_part_queries_only_before_a_type() {
        let split = |value| super::split(value);
        assert_eq!(
            split(
                "Observation?status=final,amended,MedicationRequest?status=active, Patient?name=a"
            ),
            [
                "Observation?status=final,amended",
                "MedicationRequest?status=active",
                "Patient?name=a"
            ]
        );
        assert_eq!(split("Observation?code=a,b?c"), ["Observation?code=a,b?c"]);
    }

    #[test]
    fn escapes_keep_separators_in_values() {
        assert_eq!(alternatives(r"a\,b,c\\,d"), [r"a\,b", r"c\\", "d"]);
        let parts: Vec<String> = parts(r"a\|b|c\x\\|", '|').collect();
        assert_eq!(parts, ["a|b", r"c\x\", ""]);
        assert_eq!(unescape(r"a\,b"), "a,b");
    }

    #[test]
    fn t_011_only_the_querys_own_escapes_are_undone() {
        let plus = Filter::compile("Observation?date=ge2026-01-01T00:00:00+05:00", "").unwrap();
        let escaped =
            Filter::compile("Observation?date=ge2026-01-01T00:00:00%2B05:00", "").unwrap();
        assert_eq!(plus.criteria(), escaped.criteria());
    }

    #[test]
    fn a_compiled_query_is_read_as_it_was_written() {
        for query in [
            "Observation?code=http://loinc.org|8480-6&date=ge2026&value-quantity=lt5.4||kg",
            "Patient?name:exact=A&_lastUpdated=gt2026-01-01&deceased=true&general-practitioner=1",
        ] {
            let filter = Filter::compile(query, "http://h").unwrap();
            let text = serde_json::to_string(&filter).unwrap();
            assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        }
    }
}
