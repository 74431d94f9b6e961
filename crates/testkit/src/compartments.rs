//! Random resources and Groups, and a model of their compartments that fits on a page.
//!
//! Invariants: slices are disjoint and together hold exactly what the model takes, each resource
//! once, whatever the target size; plans and reads repeat (checked in every `export`).
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what surprises a test should end it"
)]

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use sluice_fhir::{Level, ResourceType};
use sluice_ports::Source;

use crate::exported::{Promise, export, group, scope, types};

/// Types of the random resources; Patient and those in its compartment come first.
const KINDS: [&str; 9] = [
    "Patient",
    "Observation",
    "Provenance",
    "Device",
    "Encounter",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
];
const PATIENTS: usize = 5;
/// Sets patients who are not there apart from resources.
const ABSENT: usize = 1000;

#[derive(Clone, Debug)]
struct Resource {
    kind: usize,
    /// Patients it names; beyond the last there is none such.
    patients: Vec<usize>,
    /// Resources it refers to.
    references: Vec<usize>,
}

/// A population, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Case {
    resources: Vec<Resource>,
    members: Vec<usize>,
    nested: Vec<usize>,
    types: Vec<&'static str>,
    patients: Option<Vec<usize>>,
    files: Vec<usize>,
    target: u64,
}

fn resource() -> impl Strategy<Value = Resource> {
    let fields = (
        1..KINDS.len(),
        vec(0..PATIENTS + 2, 0..4),
        vec(0..40_usize, 0..4),
    );
    fields.prop_map(|(kind, patients, references)| Resource {
        kind,
        patients,
        references,
    })
}

/// Any population.
pub fn case() -> impl Strategy<Value = Case> {
    (
        vec(resource(), 0..30),
        vec(0..PATIENTS + 1, 0..3),
        vec(0..PATIENTS + 1, 0..3),
        subsequence(KINDS.to_vec(), 1..=KINDS.len()),
        proptest::option::weighted(0.3, subsequence((0..PATIENTS).collect::<Vec<_>>(), 0..4)),
        vec(0..3_usize, 40),
        1..3000_u64,
    )
        .prop_map(
            |(resources, members, nested, types, patients, files, target)| {
                let patient = Resource {
                    kind: 0,
                    patients: Vec::new(),
                    references: vec![7, 20],
                };
                let mut all = vec![patient; PATIENTS];
                all.extend(resources);
                Case {
                    resources: all,
                    members,
                    nested,
                    types,
                    patients,
                    files,
                    target,
                }
            },
        )
}

impl Case {
    fn name(&self, n: usize) -> String {
        match self.resources.get(n) {
            Some(resource) => format!("{}/r{n}", KINDS[resource.kind]),
            None => format!("Organization/r{n}"),
        }
    }

    fn line(&self, n: usize) -> String {
        let resource = &self.resources[n];
        let refer = |names: Vec<String>| -> Vec<_> {
            let names = names.into_iter();
            names
                .map(|name| serde_json::json!({ "reference": name }))
                .collect()
        };
        let patients = refer(
            resource
                .patients
                .iter()
                .map(|p| format!("Patient/r{p}"))
                .collect(),
        );
        let others = refer(resource.references.iter().map(|n| self.name(*n)).collect());
        let mut json = serde_json::json!({
            "id": format!("r{n}"),
            "extension": { "at": others },
        });
        // Patients named elsewhere do not count.
        let element = match KINDS[resource.kind] {
            "Observation" => "performer",
            "Encounter" => "subject",
            "Device" => "patient",
            "Provenance" => "target",
            _ => "elsewhere",
        };
        json[element] = patients.into();
        if KINDS[resource.kind] == "Provenance" {
            let about = refer(resource.references.iter().map(|n| self.name(*n)).collect());
            json[element].as_array_mut().unwrap().extend(about);
        }
        let text = json.to_string();
        format!(
            r#"{{"resourceType":"{}",{}"#,
            KINDS[resource.kind],
            &text[1..]
        )
    }

    /// Every resource as a line, in three lots that may be loaded apart and in any order.
    pub fn lots(&self) -> [Vec<String>; 3] {
        let mut lots = [const { Vec::new() }; 3];
        for n in 0..self.resources.len() {
            lots[self.files[n]].push(self.line(n));
        }
        let member = |name: String| format!(r#"{{"entity":{{"reference":"{name}"}}}}"#);
        let people = |list: &[usize]| -> Vec<String> {
            let names = list.iter().map(|p| format!("Patient/r{p}"));
            names.map(member).collect()
        };
        let mut outer = vec![member("Group/inner".to_owned())];
        outer.extend(people(&self.members));
        for (id, members) in [("outer", outer), ("inner", people(&self.nested))] {
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            lots[0].push(group(id, &members));
        }
        lots
    }

    /// Of each resource the patients in whose compartment it lies, those who are not there too. A
    /// Provenance is whose what it is about is; round and round, as there may be rings.
    fn owners(&self) -> Vec<BTreeSet<usize>> {
        let mut owners = Vec::new();
        for (n, resource) in self.resources.iter().enumerate() {
            let named = resource
                .patients
                .iter()
                .map(|p| p + ABSENT * usize::from(*p >= PATIENTS));
            owners.push(match KINDS[resource.kind] {
                "Patient" => BTreeSet::from([n]),
                "Observation" | "Encounter" | "Device" | "Provenance" => named.collect(),
                _ => BTreeSet::new(),
            });
        }
        loop {
            let before = owners.clone();
            for (n, resource) in self.resources.iter().enumerate() {
                if KINDS[resource.kind] == "Provenance" {
                    let about = resource.references.iter();
                    let theirs = about.filter_map(|n| before.get(*n)).flatten();
                    owners[n].extend(theirs);
                }
            }
            if owners == before {
                return owners;
            }
        }
    }

    /// The types that are asked for, and Patient.
    pub fn types_with_patient(&self) -> Vec<ResourceType> {
        let mut types = types(&self.types);
        types.push(ResourceType::PATIENT);
        types.sort_unstable();
        types.dedup();
        types
    }

    /// Of each patient, or of each member of the Group, by id: the Patient, and what is asked for of all else in the
    /// compartment.
    pub fn blocks(&self, of_members: bool) -> Vec<(String, String, BTreeSet<String>)> {
        let (owners, members) = (self.owners(), self.members());
        let patients = (0..PATIENTS).filter(|p| !of_members || members.contains(p));
        let block = |p: usize| {
            let is_theirs =
                |n: &usize| *n >= PATIENTS && owners[*n].contains(&p) && self.is_asked(*n);
            let theirs = (0..self.resources.len()).filter(is_theirs);
            let lines = theirs.map(|n| self.line(n)).collect();
            (format!("r{p}"), self.line(p), lines)
        };
        patients.map(block).collect()
    }

    /// What is in no compartment.
    pub fn nobodys(&self) -> BTreeSet<String> {
        let owners = self.owners();
        let nobodys = (0..self.resources.len()).filter(|n| owners[*n].is_empty());
        nobodys.map(|n| self.line(n)).collect()
    }

    fn is_asked(&self, n: usize) -> bool {
        let resource = self.resources.get(n);
        resource.is_some_and(|resource| self.types.contains(&KINDS[resource.kind]))
    }

    /// The patients of the Group who are there.
    fn members(&self) -> BTreeSet<usize> {
        let members = self.members.iter().chain(&self.nested).copied();
        members.filter(|p| *p < PATIENTS).collect()
    }

    /// What an export of a cohort takes.
    fn taken(&self, cohort: &BTreeSet<usize>) -> BTreeSet<usize> {
        let asked = |n: &usize| self.is_asked(*n);
        let owners = self.owners();
        let all = (0..self.resources.len()).filter(asked);
        let mut taken: BTreeSet<usize> = all.filter(|n| !owners[*n].is_disjoint(cohort)).collect();
        loop {
            let more: BTreeSet<usize> = taken
                .iter()
                .flat_map(|n| self.resources[*n].references.iter().copied())
                .filter(|n| asked(n) && owners[*n].is_empty())
                .collect();
            let before = taken.len();
            taken.extend(more);
            if taken.len() == before {
                return taken;
            }
        }
    }

    fn lines(&self, taken: impl IntoIterator<Item = usize>) -> Vec<String> {
        let mut lines: Vec<String> = taken.into_iter().map(|n| self.line(n)).collect();
        lines.sort_unstable();
        lines
    }

    /// Exports it in every way and compares.
    pub async fn verify(&self, source: &dyn Source, promise: Promise) {
        let asked: Vec<ResourceType> = types(&self.types);
        let mut system = scope(source, Level::System).await;
        system.types = asked.clone();
        let everything = (0..self.resources.len())
            .filter(|n| self.types.contains(&KINDS[self.resources[*n].kind]));
        assert_eq!(
            export(source, &system, self.target, promise).await,
            self.lines(everything)
        );

        let all: BTreeSet<usize> = (0..PATIENTS).collect();
        for (level, cohort) in [
            (Level::Patient, all),
            (Level::Group("outer".to_owned()), self.members()),
        ] {
            let mut scope = scope(source, level).await;
            scope.types = asked.clone();
            let taken = self.taken(&cohort);
            assert_eq!(
                export(source, &scope, self.target, promise).await,
                self.lines(taken)
            );
            let Some(patients) = &self.patients else {
                continue;
            };
            scope.patients = Some(patients.iter().map(|p| format!("r{p}")).collect());
            let patients: BTreeSet<usize> = patients.iter().copied().collect();
            let known = source.check(&scope).await.is_ok();
            assert_eq!(known, patients.is_subset(&cohort));
            let taken = self.taken(&patients.intersection(&cohort).copied().collect());
            assert_eq!(
                export(source, &scope, self.target, promise).await,
                self.lines(taken)
            );
        }
    }
}
