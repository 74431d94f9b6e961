//! What each kick-off parameter may say (spec 1.2), and what happens when it says something else.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::raw::{entries, values};
use super::{Context, Kickoff, PARAMETERS, RawParameter};
use crate::{Instant, Issue, IssueCode, Reference, ResourceType, compartment, shown};

/// Checks a request; the error holds every problem found.
pub fn check(raw: &[RawParameter], context: &Context<'_>) -> Result<Kickoff, Vec<Issue>> {
    let mut checker = Checker {
        context,
        problems: Vec::new(),
        kickoff: Kickoff::default(),
    };
    checker.output_format(raw);
    checker.kickoff.since = checker.instant(raw, "_since");
    checker.kickoff.until = checker.instant(raw, "_until");
    checker.types(raw);
    checker.patients(raw);
    checker.filters(raw);
    checker.elements(raw);
    checker.associated(raw);
    checker.file_sizes(raw);
    checker.partial_manifests(raw);
    checker.organize(raw);
    checker.others(raw);
    if checker.problems.is_empty() {
        Ok(checker.kickoff)
    } else {
        Err(checker.problems)
    }
}

pub(super) struct Checker<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) problems: Vec<Issue>,
    pub(super) kickoff: Kickoff,
}

/// What lenient handling lets pass, for the `error` files.
pub(crate) fn ignored(name: &str, text: &str) -> Issue {
    let text = format!("ignored, because handling=lenient was preferred: {text}");
    Issue::warning(IssueCode::NotSupported, text).about(name)
}

impl Checker<'_> {
    pub(super) fn refuse(&mut self, code: IssueCode, name: &str, text: impl Into<String>) {
        self.problems.push(Issue::error(code, text).about(name));
    }

    /// Refuses, or under lenient handling notes what is ignored.
    pub(super) fn ignore_or_refuse(&mut self, name: &str, text: &str) {
        if self.context.lenient {
            let issue = ignored(name, text);
            if !self.kickoff.ignored.contains(&issue) {
                self.kickoff.ignored.push(issue);
            }
        } else {
            self.refuse(IssueCode::NotSupported, name, text);
        }
    }

    /// The value of a parameter that may be given once.
    pub(super) fn single<'r>(&mut self, raw: &'r [RawParameter], name: &str) -> Option<&'r str> {
        let mut found = values(raw, name);
        let first = found.next()?;
        if found.next().is_some() {
            self.refuse(
                IssueCode::Invalid,
                name,
                format!("{name} may be given only once"),
            );
            return None;
        }
        Some(first)
    }

    /// three spellings. An unencoded plus sign arrives as a space (T-012).
    fn output_format(&mut self, raw: &[RawParameter]) {
        const NAME: &str = "_outputFormat";
        let Some(value) = self.single(raw, NAME) else {
            return;
        };
        let known = [
            "application/fhir+ndjson",
            "application/fhir ndjson",
            "application/ndjson",
            "ndjson",
        ];
        if !known.contains(&value) {
            let text =
                "_outputFormat must be application/fhir+ndjson, application/ndjson or ndjson";
            self.refuse(IssueCode::Invalid, NAME, text);
        }
    }

    fn instant(&mut self, raw: &[RawParameter], name: &str) -> Option<Instant> {
        let value = self.single(raw, name)?;
        // An unencoded plus sign before the offset arrives as a space (T-012).
        let parsed =
            Instant::from_str(value).or_else(|_| Instant::from_str(&value.replace(' ', "+")));
        if parsed.is_err() {
            let text = format!(
                "{name} must be an instant with seconds and zone, such as 2026-03-01T00:00:00Z"
            );
            self.refuse(IssueCode::Invalid, name, text);
        }
        parsed.ok()
    }

    /// repeats and commas are the same; R-054: an unknown type fails the request; R-055:
    /// so does a list without any type of the compartment.
    fn types(&mut self, raw: &[RawParameter]) {
        const NAME: &str = "_type";
        let names: Vec<&str> = entries(raw, NAME).collect();
        if names.is_empty() {
            return;
        }
        let patient_based = self.context.level.is_patient_based();
        let mut types = BTreeSet::new();
        for name in names {
            match ResourceType::from_str(name) {
                Ok(ResourceType::GROUP) if patient_based => self.ignore_or_refuse(NAME,
                    "_type contains Group, which is exported at system level only; read it at [base]/Group"),
                Ok(kind) if kind.is_exportable() => {
                    types.insert(kind);
                }
                _ => {
                    let name = shown(name);
                    self.ignore_or_refuse(NAME, &format!("_type contains {name:?}, which this server does not export"));
                }
            }
        }
        if self.problems.is_empty() && types.is_empty() {
            self.refuse(
                IssueCode::NotSupported,
                NAME,
                "_type leaves no type that this server exports",
            );
        } else if patient_based
            && !types.is_empty()
            && !types.iter().any(|kind| compartment::contains(*kind))
        {
            let text = "_type names only types outside the patient compartment; add one inside it, such as \
                Patient, or use the system-level export";
            self.refuse(IssueCode::NotSupported, NAME, text);
        }
        self.kickoff.types = Some(types.into_iter().collect());
    }

    /// R-063, T-014: by POST only, not at system level, each `Patient/id` or the same under our base.
    fn patients(&mut self, raw: &[RawParameter]) {
        const NAME: &str = "patient";
        let mut ids = BTreeSet::new();
        let given = raw.iter().filter(|parameter| parameter.name == NAME);
        for RawParameter { value, in_body, .. } in given {
            if !in_body {
                return self.refuse(
                    IssueCode::NotSupported,
                    NAME,
                    "patient may be given only in a POST body",
                );
            }
            if !self.context.level.is_patient_based() {
                let text =
                    "patient does not apply to a system-level export; use [base]/Patient/$export";
                return self.refuse(IssueCode::NotSupported, NAME, text);
            }
            match patient_id(value, self.context.base) {
                Some(id) => {
                    ids.insert(id.to_owned());
                }
                None => {
                    return self.refuse(
                        IssueCode::Invalid,
                        NAME,
                        "each patient must be a reference such as Patient/123",
                    );
                }
            }
        }
        if !ids.is_empty() {
            self.kickoff.patients = Some(ids.into_iter().collect());
        }
    }

    fn others(&mut self, raw: &[RawParameter]) {
        let names: BTreeSet<&str> = raw
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        for name in names {
            if !PARAMETERS.contains(&name) {
                let shown = shown(name);
                self.ignore_or_refuse(
                    &shown,
                    &format!("{shown:?} is not a parameter of $export; leave it out"),
                );
            }
        }
    }
}

fn patient_id<'v>(value: &'v str, base: &str) -> Option<&'v str> {
    let local = match value.strip_prefix(base) {
        Some(rest) => rest.strip_prefix('/')?,
        None => value,
    };
    let id = local.strip_prefix("Patient/")?;
    Reference::parse(local)
        .filter(|found| found.id == id)
        .map(|found| found.id)
}

#[cfg(test)]
mod tests {
    use super::super::from_query;
    use super::*;
    use crate::Level;

    fn ask(query: &str, level: &Level, lenient: bool) -> Result<Kickoff, Vec<Issue>> {
        let context = Context {
            level,
            lenient,
            base: "http://h/default/fhir",
        };
        check(&from_query(query).unwrap(), &context)
    }

    fn post(level: &Level, patients: &[&str]) -> Result<Kickoff, Vec<Issue>> {
        let raw: Vec<_> = patients
            .iter()
            .map(|value| RawParameter {
                name: "patient".into(),
                value: (*value).into(),
                in_body: true,
            })
            .collect();
        let context = Context {
            level,
            lenient: false,
            base: "http://h/default/fhir",
        };
        check(&raw, &context)
    }

    #[test]
    fn r_036_three_spellings_and_a_lost_plus() {
        for format in [
            "application/fhir%2Bndjson",
            "application/fhir+ndjson",
            "application/ndjson",
            "ndjson",
        ] {
            assert!(
                ask(&format!("_outputFormat={format}"), &Level::System, false).is_ok(),
                "{format}"
            );
        }
        let refused = ask("_outputFormat=text/csv", &Level::System, true).unwrap_err();
        assert_eq!(
            refused[0].code,
            IssueCode::Invalid,
            "T-004: lenient never rescues a format"
        );
    }

    #[test]
    fn r_021_commas_and_repeats_are_one_list() {
        let commas = ask("_type=Patient,Observation", &Level::Patient, false).unwrap();
        let repeats = ask(
            "_type=Observation&_type=Patient,Patient",
            &Level::Patient,
            false,
        )
        .unwrap();
        assert_eq!(commas.types, repeats.types);
        assert_eq!(commas.types.unwrap().len(), 2);
    }

    #[test]
    fn t_006_one_unknown_type_fails_the_request_unless_lenient() {
        let refused = ask("_type=Patient,Foo", &Level::Patient, false).unwrap_err();
        assert!(refused[0].text.contains("Foo"));
        let lenient = ask("_type=Patient,Foo", &Level::Patient, true).unwrap();
        assert_eq!(lenient.types, Some(vec![ResourceType::PATIENT]));
        assert_eq!(lenient.ignored.len(), 1);
    }

    #[test]
    fn r_055_only_types_outside_the_compartment_are_refused_except_at_system_level() {
        assert!(ask("_type=Practitioner", &Level::Patient, true).is_err());
        assert!(ask("_type=Practitioner,Patient", &Level::Patient, false).is_ok());
        assert!(ask("_type=Practitioner", &Level::System, false).is_ok());
    }

    #[test]
    fn t_012_t_013_instants() {
        let since = ask("_since=2026-03-01T00:00:00+05:00", &Level::System, false)
            .unwrap()
            .since;
        assert_eq!(since, Some("2026-02-28T19:00:00Z".parse().unwrap()));
        assert!(ask("_since=2026-03-01", &Level::System, true).is_err());
        assert!(
            ask(
                "_since=2026-03-01T00:00:00Z&_since=2026-03-01T00:00:00Z",
                &Level::System,
                false
            )
            .is_err()
        );
    }

    #[test]
    fn t_014_patient_is_for_post_and_not_for_the_system_level() {
        assert!(ask("patient=Patient/1", &Level::Patient, true).is_err());
        assert!(post(&Level::System, &["Patient/1"]).is_err());
        let ids = post(
            &Level::Patient,
            &["Patient/2", "http://h/default/fhir/Patient/1"],
        )
        .unwrap();
        assert_eq!(ids.patients, Some(vec!["1".to_owned(), "2".to_owned()]));
        for other in [
            "1",
            "Group/1",
            "http://evil/Patient/1",
            "Patient/1/_history/2",
            "Patient/",
        ] {
            assert!(post(&Level::Patient, &[other]).is_err(), "{other}");
        }
    }

    #[test]
    fn every_parameter_of_the_guide_is_recognized() {
        for name in PARAMETERS {
            let told = match ask(&format!("{name}=x"), &Level::Patient, false) {
                Ok(_) => Vec::new(),
                Err(problems) => problems,
            };
            let unknown = |issue: &Issue| issue.text.contains("is not a parameter");
            assert!(!told.iter().any(unknown), "{name}");
        }
    }

    #[test]
    fn t_005_unknown_parameters_are_refused_or_reported() {
        assert!(
            ask("colour=red", &Level::Patient, false).unwrap_err()[0]
                .text
                .contains("colour")
        );
        assert_eq!(
            ask("colour=red&_type=Patient", &Level::Patient, true)
                .unwrap()
                .ignored
                .len(),
            1
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let refused = ask("_since=x&_outputFormat=y&z=1", &Level::Patient, false).unwrap_err();
        assert_eq!(refused.len(), 3);
    }
}
