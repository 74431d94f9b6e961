//! A small population in which every rule of compartments has its case.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::collections::BTreeMap;

use sluice_fhir::ResourceType;
use sluice_ports::conformance::{Population, Promise};

use crate::exported::{group, id, resource};

/// Its lines.
pub fn lines() -> [String; 19] {
    [
        resource("Patient/a", &[("managingOrganization", "Organization/hq")]),
        resource("Patient/b", &[]),
        resource(
            "Observation/ab",
            &[("subject", "Patient/a"), ("performer", "Patient/b")],
        ),
        resource(
            "Observation/b",
            &[("subject", "Patient/b"), ("focus", "Device/loose")],
        ),
        resource(
            "Encounter/a",
            &[("subject", "Patient/a"), ("partOf", "Encounter/b")],
        ),
        resource(
            "Encounter/b",
            &[("subject", "Patient/b"), ("x", "Location/b")],
        ),
        resource(
            "Condition/a",
            &[("subject", "Patient/a"), ("x", "PractitionerRole/r")],
        ),
        resource("PractitionerRole/r", &[("organization", "Organization/o")]),
        resource(
            "Organization/o",
            &[("partOf", "Organization/hq"), ("endpoint", "Endpoint/e")],
        ),
        resource("Organization/hq", &[("partOf", "Organization/o")]),
        resource("Endpoint/e", &[]),
        resource("Location/b", &[]),
        resource("Location/nobody", &[]),
        resource("Device/loose", &[]),
        resource("Device/a", &[("patient", "urn:uuid:a")]),
        resource("Provenance/1", &[("target", "Observation/b")]),
        resource("Provenance/2", &[("target", "Patient/a")]),
        resource("Provenance/3", &[("target", "Location/b")]),
        group("g", &[r#"{"entity":{"reference":"Patient/a"}}"#]),
    ]
}

/// What the Group takes of it.
pub const GROUP: [&str; 10] = [
    "Condition/a",
    "Device/a",
    "Encounter/a",
    "Endpoint/e",
    "Observation/ab",
    "Organization/hq",
    "Organization/o",
    "Patient/a",
    "PractitionerRole/r",
    "Provenance/2",
];
/// What not even all patients take.
pub const LEFT: [&str; 3] = ["Group/g", "Location/nobody", "Provenance/3"];

fn by_type(take: impl Fn(&str) -> bool) -> BTreeMap<ResourceType, Vec<String>> {
    let mut lines = lines();
    lines.sort_unstable();
    let mut taken: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in lines {
        let name = id(&line);
        if take(&name) {
            let (kind, _) = name.split_once('/').unwrap();
            taken.entry(kind.parse().unwrap()).or_default().push(line);
        }
    }
    taken
}

/// What the conformance suite of sources expects of it, of a source that plans like this.
///
/// # Panics
///
/// If its lines are no resources.
pub fn population(promise: Promise) -> Population {
    Population {
        promise,
        system: by_type(|_| true),
        patients: by_type(|name| !LEFT.contains(&name)),
        group: ("g".to_owned(), by_type(|name| GROUP.contains(&name))),
    }
}
