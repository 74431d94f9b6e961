//! `_typeFilter` and `_elements` against answers that were not made by Sluice: `deploy/oracle` computed them in
//! Python, with HL7's own expressions evaluated by fhirpathpy.

#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use sluice_fhir::ResourceType;
use sluice_fhir::elements::{Elements, TrimScratch};
use sluice_fhir::search::{Filter, Matcher, Scratch};

const DATA: &str = include_str!("oracle/data.ndjson");

#[derive(Deserialize)]
struct Query {
    query: String,
    ids: Vec<String>,
}

#[derive(Deserialize)]
struct Trimmed {
    elements: Vec<String>,
    #[serde(rename = "type")]
    kind: ResourceType,
    id: String,
    line: Value,
}

/// Lines by type and id.
fn lines() -> HashMap<(ResourceType, String), &'static str> {
    let name = |line: &Value, member: &str| line[member].as_str().unwrap().to_owned();
    let read = |line: &'static str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let kind = name(&json, "resourceType").parse().unwrap();
        ((kind, name(&json, "id")), line)
    };
    DATA.lines().map(read).collect()
}

#[test]
fn more_than_300_queries_find_what_the_oracle_finds() {
    let queries: Vec<Query> = serde_json::from_str(include_str!("oracle/queries.json")).unwrap();
    assert!(queries.len() > 300);
    let (lines, mut wrong) = (lines(), Vec::new());
    for Query { query, ids } in queries {
        let filter = match Filter::compile(&query, "http://h/default/fhir") {
            Ok(filter) => filter,
            Err(error) => {
                wrong.push(format!("{query}: {error}"));
                continue;
            }
        };
        let matcher = Matcher::new([&filter]);
        let mut scratch = Scratch::default();
        let of_type = lines.iter().filter(|((kind, _), _)| *kind == filter.kind);
        let mut found: Vec<&str> = of_type
            .filter(|(_, line)| matcher.matches(line, &mut scratch).unwrap())
            .map(|((_, id), _)| id.as_str())
            .collect();
        found.sort_unstable();
        if found != ids {
            let extra: Vec<_> = found
                .iter()
                .filter(|id| !ids.iter().any(|want| want == *id))
                .collect();
            let missing: Vec<_> = ids
                .iter()
                .filter(|want| !found.contains(&want.as_str()))
                .collect();
            wrong.push(format!("{query}: too many {extra:?}, missing {missing:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn resources_are_trimmed_as_the_oracle_trims_them() {
    let cases: Vec<Trimmed> = serde_json::from_str(include_str!("oracle/elements.json")).unwrap();
    let lines = lines();
    for Trimmed {
        elements,
        kind,
        id,
        line,
    } in cases
    {
        let mut asked = Elements::default();
        for element in &elements {
            // The oracle lets elements of other types be unknown, as lenient handling does.
            let _ignored = asked.add(element);
        }
        let mut out = Vec::new();
        let whole = lines[&(kind, id.clone())];
        match asked.of(kind) {
            Some(trim) => {
                let scratch = &mut TrimScratch::default();
                assert!(trim.line(whole, None, scratch, &mut out).unwrap());
            }
            None => out.extend_from_slice(whole.as_bytes()),
        }
        let got: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(got, line, "{elements:?} of {kind}/{id}");
    }
}
