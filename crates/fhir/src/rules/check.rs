//! Holds the parameters of a kick-off to a site's rules, before they are checked as ever.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use super::Rules;
use crate::parameters::{RawParameter, entries, ignored};
use crate::search::split;
use crate::{Issue, IssueCode, Level, ResourceType, shown};

const TYPE: &str = "_type";
const ASSOCIATED: &str = "includeAssociatedData";
const FILTER: &str = "_typeFilter";
const PATIENT: &str = "patient";

/// Which rule a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A parameter is sent that is not known here.
    Parameter,
    /// A type is asked for that is not exported.
    Type,
    /// Only types are asked for that go beside others.
    Companions,
    /// A query is not one that is answered.
    Query,
    /// Queries and types do not go together.
    Filters,
    /// Associated data and types do not go together.
    Associated,
    /// Too few patients are named, or too many.
    Patients,
}

/// A request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .issues.first().map_or("", |issue| issue.text.as_str()))]
pub struct Refusal {
    /// Which.
    pub broken: Broken,
    /// What to tell of it; at least one.
    pub issues: Vec<Issue>,
}

/// A request that breaks none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What is left of its parameters.
    pub raw: Vec<RawParameter>,
    /// What lenient handling took out, for the `error` files.
    pub ignored: Vec<Issue>,
    /// What to say when it is accepted.
    pub notes: Vec<Issue>,
}

fn refusal(broken: Broken, code: IssueCode, about: &str, text: &str) -> Refusal {
    let issues = vec![Issue::error(code, text).about(about)];
    Refusal { broken, issues }
}

impl Rules {
    /// Takes out of a request what lenient handling lets pass, and refuses the rest of what breaks a rule.
    /// Values are looked at no closer than the rules need.
    pub fn hold(
        &self,
        raw: Vec<RawParameter>,
        (level, lenient): (&Level, bool),
    ) -> Result<Held, Refusal> {
        let mut held = Held {
            raw,
            ..Held::default()
        };
        if *self == Self::default() {
            return Ok(held);
        }
        self.parameters(&mut held, lenient)?;
        self.types(&mut held, lenient)?;
        self.filters(&held)?;
        self.associated(&held)?;
        self.patients(&held, level)?;
        Ok(held)
    }

    /// Under lenient handling `patient` is refused all the same: without it more would be exported than was
    /// asked for (T-004).
    fn parameters(&self, held: &mut Held, lenient: bool) -> Result<(), Refusal> {
        let sent = held.raw.iter().map(|raw| raw.name.clone());
        let unknown: BTreeSet<String> = sent.filter(|name| !self.admits_parameter(name)).collect();
        let told = |name: &String| {
            let name = shown(name);
            let text = format!("{name:?} is not a parameter of $export at this site; leave it out");
            (name, text)
        };
        if unknown.is_empty() {
            return Ok(());
        }
        if !lenient || unknown.contains(PATIENT) {
            let issues = unknown.iter().map(|name| {
                let (name, text) = told(name);
                Issue::error(IssueCode::NotSupported, text).about(name)
            });
            return Err(Refusal {
                broken: Broken::Parameter,
                issues: issues.collect(),
            });
        }
        held.raw.retain(|raw| !unknown.contains(&raw.name));
        for name in &unknown {
            let (name, text) = told(name);
            held.ignored.push(ignored(&name, &text));
        }
        Ok(())
    }

    fn types(&self, held: &mut Held, lenient: bool) -> Result<(), Refusal> {
        let asked = asked_types(&held.raw);
        if asked.is_empty() {
            return Ok(());
        }
        let (mut kept, mut others) = (Vec::new(), Vec::new());
        let mut remark = None;
        for name in &asked {
            let kind = name.parse::<ResourceType>().ok();
            match kind {
                Some(kind) if self.admits_type(kind) => kept.push(kind),
                Some(kind) if self.binary_noted && kind.name() == "Binary" => {
                    let text = "Binary has no file of its own: its content is inside the resources that \
                        refer to it";
                    remark = Some(Issue::information(text).about(TYPE));
                }
                _ => others.push(shown(name)),
            }
        }
        let told =
            |name: &String| format!("{TYPE} contains {name:?}, which this site does not export");
        if !lenient && !others.is_empty() {
            let issue = |name| Issue::error(IssueCode::NotSupported, told(name)).about(TYPE);
            return Err(Refusal {
                broken: Broken::Type,
                issues: others.iter().map(issue).collect(),
            });
        }
        if kept.iter().all(|kind| self.companions.contains(kind)) {
            let text = "_type leaves no type that this site exports by itself; add a clinical one, such as \
                Patient";
            return Err(refusal(
                Broken::Companions,
                IssueCode::NotSupported,
                TYPE,
                text,
            ));
        }
        let dropped = others.iter().map(|name| ignored(TYPE, &told(name)));
        held.ignored.extend(dropped);
        held.notes.extend(remark);
        if kept.len() < asked.len() {
            narrow(&mut held.raw, &kept);
        }
        Ok(())
    }

    fn filters(&self, held: &Held) -> Result<(), Refusal> {
        let rules = &self.filters;
        let types = asked_types(&held.raw);
        let mut seen = BTreeSet::new();
        let queries = held.raw.iter().filter(|raw| raw.name == FILTER);
        for query in queries.flat_map(|raw| split(&raw.value)) {
            let (kind, criteria) = query.split_once('?').unwrap_or((query, ""));
            let wrong = |broken, code, text: &str| Err(refusal(broken, code, FILTER, text));
            if rules.needs_type && !types.iter().any(|asked| asked == kind) {
                let text = "a _typeFilter is about a type that _type names; add it there";
                return wrong(Broken::Filters, IssueCode::Invalid, text);
            }
            if rules.once && !seen.insert(kind) {
                let text =
                    "a type has one _typeFilter at this site; send one export for each query";
                return wrong(Broken::Filters, IssueCode::Invalid, text);
            }
            let named = kind.parse::<ResourceType>().ok();
            if named.is_some_and(|kind| rules.excluded_types.contains(&kind)) {
                let text = format!("{kind} has no _typeFilter at this site; leave it out");
                return wrong(Broken::Query, IssueCode::NotSupported, &text);
            }
            let mut codes = criteria.split('&').map(code);
            if let Some(code) = codes.find(|code| rules.excluded_parameters.contains(code)) {
                let text =
                    format!("{code} may not stand in a _typeFilter at this site; leave it out");
                return wrong(Broken::Query, IssueCode::NotSupported, &text);
            }
        }
        Ok(())
    }

    fn associated(&self, held: &Held) -> Result<(), Refusal> {
        let types = asked_types(&held.raw);
        let is_asked = entries(&held.raw, ASSOCIATED).next().is_some();
        let names_it = types.iter().any(|kind| kind == "Provenance");
        if is_asked && !self.admits_type(ResourceType::PROVENANCE) {
            let text = "Provenance is not exported at this site; leave includeAssociatedData out";
            return Err(refusal(
                Broken::Associated,
                IssueCode::NotSupported,
                ASSOCIATED,
                text,
            ));
        }
        if !self.associated_needs_type || !is_asked || types.is_empty() || names_it {
            return Ok(());
        }
        let text = "includeAssociatedData wants Provenance in _type at this site; add it there, or leave _type out";
        Err(refusal(
            Broken::Associated,
            IssueCode::Invalid,
            ASSOCIATED,
            text,
        ))
    }

    fn patients(&self, held: &Held, level: &Level) -> Result<(), Refusal> {
        let named = held.raw.iter().filter(|raw| raw.name == PATIENT).count();
        if self.patients_required && *level == Level::Patient && named == 0 {
            let text = "a patient-level export names its patients at this site: send patient at least once, \
                or export a Group";
            return Err(refusal(
                Broken::Patients,
                IssueCode::Required,
                PATIENT,
                text,
            ));
        }
        let most = self
            .most_patients
            .and_then(|most| usize::try_from(most).ok());
        if let Some(most) = most.filter(|most| named > *most) {
            let text =
                format!("patient may be sent {most} times; ask for fewer patients at a time");
            return Err(refusal(
                Broken::Patients,
                IssueCode::TooLong,
                PATIENT,
                &text,
            ));
        }
        Ok(())
    }
}

fn asked_types(raw: &[RawParameter]) -> Vec<String> {
    entries(raw, TYPE).map(str::to_owned).collect()
}

/// Leaves these in `_type`.
fn narrow(raw: &mut Vec<RawParameter>, kept: &[ResourceType]) {
    let in_body = raw.iter().any(|raw| raw.name == TYPE && raw.in_body);
    let names: Vec<&str> = kept.iter().map(|kind| kind.name()).collect();
    raw.retain(|raw| raw.name != TYPE);
    raw.push(RawParameter {
        name: TYPE.to_owned(),
        value: names.join(","),
        in_body,
    });
}

/// The search parameter of `code:modifier=value`, decoded.
fn code(criterion: &str) -> String {
    let name = criterion.split('=').next().unwrap_or_default();
    let name = percent_decode_str(name).decode_utf8_lossy();
    let code = name.split([':', '.']).next().unwrap_or_default();
    code.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::presets::{millennium, soarian};
    use super::*;
    use crate::parameters::from_query;

    fn hold(rules: &Rules, query: &str, level: &Level, lenient: bool) -> Result<Held, Refusal> {
        rules.hold(from_query(query).unwrap(), (level, lenient))
    }

    fn broken(rules: &Rules, query: &str) -> Broken {
        let group = Level::Group("g".to_owned());
        hold(rules, query, &group, false).unwrap_err().broken
    }

    fn types(held: &Held) -> Vec<String> {
        asked_types(&held.raw)
    }

    #[test]
    fn without_rules_everything_is_as_it_was_sent() {
        let query = "colour=red&_type=Foo,Binary&_typeFilter=x";
        let held = hold(&Rules::default(), query, &Level::System, false).unwrap();
        assert_eq!(held.raw, from_query(query).unwrap());
    }

    #[test]
    fn c_006_c_007_c_008_what_soarian_knows_is_let_in() {
        let rules = soarian();
        let fits = "_outputFormat=ndjson&_since=x&_type=Patient,Location";
        assert!(hold(&rules, fits, &Level::Patient, false).is_ok());
        assert!(hold(&rules, "", &Level::Patient, false).is_ok());
        assert_eq!(broken(&rules, "_until=x"), Broken::Parameter);
        assert_eq!(broken(&rules, "_type=Patient,Medication"), Broken::Type);
        assert_eq!(broken(&rules, "_type=Patient,Foo"), Broken::Type);
        assert_eq!(
            broken(&rules, "_type=Location,Provenance"),
            Broken::Companions
        );
    }

    #[test]
    fn c_010_binary_is_let_pass_with_a_remark_and_not_alone() {
        let rules = soarian();
        let held = hold(&rules, "_type=Binary&_type=Patient", &Level::Patient, false).unwrap();
        assert_eq!(types(&held), ["Patient"]);
        assert!(held.notes[0].text.contains("Binary") && held.ignored.is_empty());
        assert_eq!(broken(&rules, "_type=Binary"), Broken::Companions);
    }

    #[test]
    fn c_039_filters_are_one_a_type_and_know_less() {
        let rules = millennium();
        let held = |query: &str| hold(&rules, query, &Level::Group("g".to_owned()), false);
        let fits = "_type=Observation,Patient&_typeFilter=Observation%3Fstatus%3Dfinal";
        assert!(held(fits).is_ok());
        let one = "_typeFilter=Observation%3Fstatus%3Dfinal";
        let two = "_type=Observation&_typeFilter=Observation%3Fcode%3Da,Observation%3Fcode%3Db";
        let patient = "_type=Patient&_typeFilter=Patient%3Fgender%3Dmale";
        let subject = "_type=Observation&_typeFilter=Observation%3Fsubject:Patient%3D1";
        let escaped = "_type=Observation&_typeFilter=Observation%3F%255Fid%3D1";
        for (query, rule) in [
            (one, Broken::Filters),
            (two, Broken::Filters),
            (patient, Broken::Query),
            (subject, Broken::Query),
            (escaped, Broken::Query),
        ] {
            assert_eq!(held(query).unwrap_err().broken, rule, "{query}");
        }
    }

    #[test]
    fn c_034_patients_are_named_and_not_too_many() {
        let rules = Rules {
            most_patients: Some(2),
            ..millennium()
        };
        let named = |query: &str| hold(&rules, query, &Level::Patient, true);
        assert_eq!(named("").unwrap_err().broken, Broken::Patients);
        assert!(named("patient=a&patient=b").is_ok());
        let refused = named("patient=a&patient=b&patient=c").unwrap_err();
        assert_eq!(refused.broken, Broken::Patients);
        assert!(hold(&rules, "", &Level::Group("g".to_owned()), false).is_ok());
    }

    #[test]
    fn c_041_lenient_handling_takes_out_what_is_not_known_and_never_patient() {
        let rules = Rules {
            types: Some([ResourceType::PATIENT].into()),
            ..millennium()
        };
        let group = Level::Group("g".to_owned());
        let held = hold(
            &rules,
            "_elements=id&x=1&_type=Patient,Device",
            &group,
            true,
        )
        .unwrap();
        assert_eq!(held.raw.len(), 1);
        assert_eq!(types(&held), ["Patient"]);
        assert_eq!(held.ignored.len(), 3);
        let refused = hold(&soarian(), "patient=Patient/1", &group, true).unwrap_err();
        assert_eq!(refused.broken, Broken::Parameter, "T-004");
        let nothing = hold(&rules, "_type=Device", &group, true).unwrap_err();
        assert_eq!(nothing.broken, Broken::Companions);
    }

    #[test]
    fn c_040_associated_data_beside_types_wants_provenance_among_them() {
        let (query, rules) = (
            "includeAssociatedData=LatestProvenanceResources",
            millennium(),
        );
        let with = |types: &str| format!("{query}&_type={types}");
        assert_eq!(broken(&rules, &with("Patient")), Broken::Associated);
        let group = Level::Group("g".to_owned());
        for fine in [query.to_owned(), with("Patient,Provenance")] {
            assert!(hold(&rules, &fine, &group, false).is_ok(), "{fine}");
        }
        assert!(hold(&Rules::default(), &with("Patient"), &group, false).is_ok());
        let patients_only = Rules {
            types: Some(BTreeSet::from([ResourceType::PATIENT])),
            ..Rules::default()
        };
        assert_eq!(broken(&patients_only, query), Broken::Associated);
    }
}
