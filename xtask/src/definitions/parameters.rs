//! The table of search parameters: below the name of a resource type a line for each parameter,
//! `date date effectiveDateTime:dateTime effectivePeriod:Period`. A type of the search may carry
//! the resource types that it may refer to (`reference>Group,Patient`); none means any. `?` stands
//! for alternatives that HL7's expression does not reduce to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use serde::Deserialize;

use super::R4;
use super::expression::{self, Path};
use super::reduce::reduce;
use super::structures::Structures;

/// The pseudo type of what every resource can be searched by.
const EVERY: &str = "Resource";
/// Matches by how a text sounds, which R4 leaves to each server: its places do not say what it finds.
const SOUND: &str = "phonetic";

/// HL7's `SearchParameter`, as far as it counts here.
#[derive(Deserialize)]
pub(super) struct SearchParameter {
    version: String,
    code: String,
    base: Vec<String>,
    r#type: String,
    #[serde(default)]
    expression: String,
    #[serde(default)]
    target: Vec<String>,
}

/// The table and what there is to say about it.
#[derive(Default)]
pub(super) struct Table {
    pub(super) text: String,
    /// Lines by search type.
    pub(super) counts: BTreeMap<String, usize>,
    /// What did not reduce, and what was left out.
    pub(super) notes: Vec<String>,
}

/// The whole table, sorted by type (`Resource` first) and by code.
pub(super) fn table(all: &[SearchParameter], structures: &Structures) -> anyhow::Result<Table> {
    let mut by_type: BTreeMap<&str, BTreeMap<&str, &SearchParameter>> = BTreeMap::new();
    for parameter in all.iter().filter(|p| p.version == R4) {
        for base in &parameter.base {
            let base = if base == "DomainResource" {
                EVERY
            } else {
                base
            };
            let codes = by_type.entry(base).or_default();
            let twice = codes.insert(&parameter.code, parameter).is_some();
            ensure!(!twice, "{base} has {} twice", parameter.code);
            ensure!(structures.has(base), "{base} is not a type of R4");
        }
    }
    let mut table = Table::default();
    for name in std::iter::once(EVERY).chain(structures.resources()) {
        table.text.push_str(name);
        table.text.push('\n');
        for parameter in by_type.get(name).into_iter().flat_map(BTreeMap::values) {
            let line = table.line(name, parameter, structures);
            table.text.extend([" ", &line, "\n"]);
            *table.counts.entry(parameter.r#type.clone()).or_default() += 1;
        }
    }
    Ok(table)
}

impl Table {
    fn line(&mut self, name: &str, parameter: &SearchParameter, types: &Structures) -> String {
        let SearchParameter { code, r#type, .. } = parameter;
        let targets = targets(parameter, types);
        if matches!(r#type.as_str(), "composite" | "special") {
            return format!("{code} {type}");
        }
        let alternatives = self.alternatives(name, parameter, types);
        format!("{code} {type}{targets} {}", alternatives.join(" "))
    }

    fn alternatives(
        &mut self,
        name: &str,
        parameter: &SearchParameter,
        types: &Structures,
    ) -> Vec<String> {
        let SearchParameter { code, r#type, .. } = parameter;
        if code == SOUND {
            return vec!["?".to_owned()];
        }
        let mut alternatives: Vec<String> = Vec::new();
        let mut whole = true;
        for part in expression::parts(&parameter.expression) {
            let reduced = match part {
                Ok(path) => {
                    let path = from_its_type(path, parameter, types);
                    if path.root != name {
                        continue;
                    }
                    reduce(&path, r#type, types)
                }
                // A part of another type is that type's matter.
                Err(text) if concerns_another(text, name) => continue,
                Err(_) => None,
            };
            let Some(reduced) = reduced else {
                whole = false;
                continue;
            };
            for unusable in reduced.unusable {
                let note = format!("{name} {code}: no use of {unusable} by {type}");
                self.notes.push(note);
            }
            for alternative in reduced.alternatives {
                if !alternatives.contains(&alternative) {
                    alternatives.push(alternative);
                }
            }
        }
        if whole && !alternatives.is_empty() {
            return alternatives;
        }
        let expression = &parameter.expression;
        self.notes.push(format!(
            "{name} {code} {type} does not reduce: {expression:?}"
        ));
        vec!["?".to_owned()]
    }
}

/// HL7 left the type out of one expression, `InsurancePlan`'s `name | alias`.
fn from_its_type(path: Path, parameter: &SearchParameter, types: &Structures) -> Path {
    match parameter.base.as_slice() {
        [only] if !types.has(&path.root) => path.below(only),
        _ => path,
    }
}

fn concerns_another(part: &str, name: &str) -> bool {
    let start = part.trim_start_matches('(');
    let root = start.split('.').next().unwrap_or(start);
    !root.is_empty() && root != name
}

/// `>Group,Patient`, or nothing where every type may be referred to. HL7 lists all but Parameters
/// for those.
fn targets(parameter: &SearchParameter, types: &Structures) -> String {
    let targets: BTreeSet<&str> = parameter.target.iter().map(String::as_str).collect();
    let every = types
        .resources()
        .all(|t| t == "Parameters" || targets.contains(t));
    if targets.is_empty() || every {
        return String::new();
    }
    let targets: Vec<&str> = targets.into_iter().collect();
    format!(">{}", targets.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample;
    use super::*;

    fn made(parameters: Value) -> anyhow::Result<Table> {
        let all: Vec<SearchParameter> = serde_json::from_value(parameters).unwrap();
        table(&all, &sample::structures())
    }

    fn parameter(base: &[&str], code: &str, search: &str, expression: &str) -> Value {
        json!({
            "version": "4.0.1", "code": code, "base": base, "type": search,
            "expression": expression,
        })
    }

    /// The lines of the only type that has any.
    fn lines(table: &Table) -> Vec<&str> {
        let lines = table.text.lines().filter(|l| l.starts_with(' '));
        lines.map(str::trim_start).collect()
    }

    #[test]
    fn each_base_has_the_parts_of_its_own_and_resource_comes_first() {
        let expression = "Patient.deceased.as(dateTime) | Observation.effective";
        let table = made(json!([
            parameter(&["Patient", "Observation"], "date", "date", expression),
            parameter(&["DomainResource"], "_text", "string", ""),
            parameter(&["Observation"], "combo", "composite", "Observation"),
        ]));
        let text = "Resource\n _text string ?\nObservation\n combo composite\n date date \
                    effectiveDateTime:dateTime effectivePeriod:Period effectiveTiming:Timing \
                    effectiveInstant:instant\nParameters\nPatient\n date date \
                    deceasedDateTime:dateTime\nQuestionnaire\n";
        let table = table.unwrap();
        assert_eq!(table.text, text);
        assert_eq!(table.counts["date"], 2);
        assert_eq!(table.notes.len(), 1);
    }

    #[test]
    fn targets_are_sorted_and_left_out_where_they_are_every_type() {
        let mut some = parameter(&["Observation"], "a", "reference", "Observation.subject");
        some["target"] = json!(["Questionnaire", "Patient"]);
        let mut every = parameter(&["Observation"], "b", "reference", "Observation.subject");
        every["target"] = json!(["Questionnaire", "Patient", "Observation"]);
        let table = made(json!([some, every])).unwrap();
        let expected = [
            "a reference>Patient,Questionnaire subject:Reference",
            "b reference subject:Reference",
        ];
        assert_eq!(lines(&table), expected);
    }

    #[test]
    fn an_expression_without_its_type_is_one_of_the_only_base() {
        let relative = parameter(&["Observation"], "status", "token", "status | status");
        let table = made(json!([relative])).unwrap();
        assert_eq!(lines(&table), ["status token status:code"]);
    }

    #[test]
    fn one_part_that_does_not_reduce_leaves_the_whole_parameter_open() {
        let odd = "Observation.status | Observation.component[0].code";
        let table = made(json!([parameter(&["Observation"], "odd", "token", odd)])).unwrap();
        assert_eq!(lines(&table), ["odd token ?"]);
        assert!(table.notes[0].contains("odd token does not reduce"));
    }

    #[test]
    fn what_matches_by_sound_is_left_open() {
        let sound = parameter(&["Observation"], "phonetic", "string", "Observation.status");
        let table = made(json!([sound])).unwrap();
        assert_eq!(lines(&table), ["phonetic string ?"]);
    }

    #[test]
    fn a_parameter_of_another_version_is_left_out_and_one_given_twice_is_an_error() {
        let mut later = parameter(&["Observation"], "status", "token", "Observation.status");
        let now = later.clone();
        later["version"] = json!("5.0.0-snapshot1");
        let table = made(json!([later.clone(), now.clone()])).unwrap();
        assert_eq!(lines(&table).len(), 1);
        assert!(made(json!([now.clone(), now])).is_err());
    }
}
