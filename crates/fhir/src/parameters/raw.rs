//! Names and values as they arrive, before anything is known about them.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::{Issue, IssueCode};

/// One parameter as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawParameter {
    /// Its name.
    pub name: String,
    /// Its value as text.
    pub value: String,
    /// Whether it stood in the body.
    pub in_body: bool,
}

/// Parameters whose values are lists, of which each entry costs far more than it takes to write.
const LISTS: [&str; 3] = ["_elements", "_type", "_typeFilter"];
/// Bytes of all values of such a parameter.
const LONGEST_LIST: usize = 64 << 10;

/// The values of a parameter.
pub(super) fn values<'r>(raw: &'r [RawParameter], name: &str) -> impl Iterator<Item = &'r str> {
    raw.iter()
        .filter(move |parameter| parameter.name == name)
        .map(|raw| raw.value.as_str())
}

/// The values of a parameter that is a list; commas and repeats are the same (R-021).
pub(crate) fn entries<'r>(raw: &'r [RawParameter], name: &str) -> impl Iterator<Item = &'r str> {
    let entries = values(raw, name).flat_map(|value| value.split(','));
    entries.map(str::trim).filter(|entry| !entry.is_empty())
}

/// Refuses lists that are longer than can be looked at, before anybody looks at them.
fn bounded(raw: Vec<RawParameter>) -> Result<Vec<RawParameter>, Issue> {
    let is_long = |name: &&str| values(&raw, name).map(str::len).sum::<usize>() > LONGEST_LIST;
    match LISTS.into_iter().find(|name| is_long(name)) {
        None => Ok(raw),
        Some(name) => {
            let text = format!("{name} may have {LONGEST_LIST} bytes in all; ask for less at once");
            Err(Issue::error(IssueCode::TooLong, text).about(name))
        }
    }
}

/// Reads a query string, decoding each name and value once (T-011). Empty values count as absent
/// (T-008).
pub fn from_query(query: &str) -> Result<Vec<RawParameter>, Issue> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut parameters = Vec::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if !value.is_empty() {
            parameters.push(RawParameter {
                name,
                value,
                in_body: false,
            });
        }
    }
    bounded(parameters)
}

fn decode(text: &str) -> Result<String, Issue> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| {
        Issue::error(
            IssueCode::Structure,
            "the query string is not UTF-8 once percent-decoded",
        )
    })
}

/// Reads a Parameters resource. Any `value[x]` of a sensible type will do (T-015).
pub fn from_body(body: &[u8]) -> Result<Vec<RawParameter>, Issue> {
    let wrong = |text: &str| Issue::error(IssueCode::Structure, text);
    let json: Value = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(&format!(
            "the body is not JSON (line {line}, column {column})"
        ))
    })?;
    if json.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
        return Err(wrong("the body must be a Parameters resource"));
    }
    let empty = Vec::new();
    let entries = match json.get("parameter") {
        None => &empty,
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(wrong("Parameters.parameter must be an array")),
    };
    let read = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| from_entry(at, entry));
    let mut parameters: Vec<_> = read.collect::<Result<_, _>>()?;
    parameters.retain(|parameter| !parameter.value.is_empty());
    bounded(parameters)
}

fn from_entry(at: usize, entry: &Value) -> Result<RawParameter, Issue> {
    let place = format!("Parameters.parameter[{at}]");
    let wrong = |text: &str| Issue::error(IssueCode::Structure, text).about(place.clone());
    let name = entry.get("name").and_then(Value::as_str);
    let name = name
        .ok_or_else(|| wrong("a parameter has no name"))?
        .to_owned();
    let fields = entry.as_object().into_iter().flatten();
    let mut values = fields.filter(|(field, _)| field.starts_with("value"));
    let (Some((field, value)), None) = (values.next(), values.next()) else {
        return Err(wrong(&format!(
            "parameter {name} must have exactly one value[x]"
        )));
    };
    let text = match field.as_str() {
        "valueReference" => value
            .get("reference")
            .and_then(Value::as_str)
            .map(str::to_owned),
        "valueCoding" => value.get("code").and_then(Value::as_str).map(str::to_owned),
        _ => scalar(value),
    };
    let value = text.ok_or_else(|| wrong(&format!("parameter {name} has an unusable {field}")))?;
    Ok(RawParameter {
        name,
        value,
        in_body: true,
    })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(parameters: Vec<RawParameter>) -> Vec<(String, String)> {
        parameters
            .into_iter()
            .map(|raw| (raw.name, raw.value))
            .collect()
    }

    #[test]
    fn a_query_is_decoded_once() {
        let read = from_query("_type=Patient%2CObservation&_since=&x=%252B").unwrap();
        let want = [("_type", "Patient,Observation"), ("x", "%2B")];
        assert_eq!(pairs(read), want.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn what_is_too_long_to_be_looked_at_is_refused_before_it_is() {
        let long = ",".repeat(1 << 20);
        for name in ["_typeFilter", "_elements", "_type"] {
            let refused = from_query(&format!("{name}=a{long}")).unwrap_err();
            assert_eq!(refused.code, IssueCode::TooLong, "{name}");
            let body = format!(
                r#"{{"resourceType":"Parameters","parameter":[{{"name":"{name}","valueString":"a{long}"}}]}}"#
            );
            let refused = from_body(body.as_bytes()).unwrap_err();
            assert_eq!(refused.code, IssueCode::TooLong, "{name}");
        }
    }

    #[test]
    fn t_015_any_sensible_value_is_read() {
        let body = br#"{"resourceType":"Parameters","parameter":[
            {"name":"_since","valueString":"x"},{"name":"a","valueCoding":{"code":"c"}},
            {"name":"patient","valueReference":{"reference":"Patient/1"}},
            {"name":"b","valueBoolean":true}]}"#;
        let values: Vec<_> = pairs(from_body(body).unwrap())
            .into_iter()
            .map(|p| p.1)
            .collect();
        assert_eq!(values, ["x", "c", "Patient/1", "true"]);
    }

    #[test]
    fn other_bodies_are_structure_errors() {
        let bodies: [&[u8]; 4] = [
            b"{",
            b"{}",
            br#"{"resourceType":"Parameters","parameter":{}}"#,
            br#"{"resourceType":"Parameters","parameter":[{"name":"a"}]}"#,
        ];
        for body in bodies {
            assert_eq!(from_body(body).unwrap_err().code, IssueCode::Structure);
        }
    }
}
