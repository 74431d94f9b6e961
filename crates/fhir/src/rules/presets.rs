//! The documented rules of two products, whose clients then find what they know.

use std::collections::BTreeSet;

use super::{Errors, FilterRules, Headers, KickoffMethod, Methods, Paths, ProgressForm, Rules};
use crate::ResourceType;

/// Types that Soarian exports (C-007).
const SOARIAN_TYPES: [&str; 18] = [
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Immunization",
    "Location",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "Procedure",
    "Provenance",
];

/// Types that need a clinical one beside them (C-008).
const COMPANIONS: [&str; 4] = ["Location", "Organization", "Practitioner", "Provenance"];

/// Types that Millennium filters not (C-039).
const UNFILTERED: [&str; 5] = [
    "Location",
    "Organization",
    "Patient",
    "Practitioner",
    "Provenance",
];

/// Search parameters that its filters do not know (C-039).
const UNSEARCHED: [&str; 15] = [
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_id",
    "_include",
    "_lastUpdated",
    "_revinclude",
    "_sort",
    "_summary",
    "_total",
    "encounter",
    "identifier",
    "patient",
    "subject",
];

/// The most patients that one request of Millennium's names (C-034).
const MOST_PATIENTS: u32 = 20_000;

/// Soarian Clinicals': C-001, C-006 to C-008, C-010, C-012, C-014 to C-017, C-029, C-030.
pub fn soarian() -> Rules {
    let get = BTreeSet::from([KickoffMethod::Get]);
    Rules {
        methods: Methods {
            system: BTreeSet::new(),
            patient: get.clone(),
            group: get,
        },
        parameters: Some(names(&["_outputFormat", "_since", "_type"])),
        types: Some(types(&SOARIAN_TYPES)),
        companions: types(&COMPANIONS),
        binary_noted: true,
        lenient: false,
        headers: Headers::Strict,
        paths: Paths::Soarian,
        progress: ProgressForm::Percent,
        errors: Errors::Soarian,
        opc_request_id: true,
        ballot: false,
        ..Rules::default()
    }
}

/// Millennium's: C-034, C-038, C-039, C-043, C-044, C-049, C-051, and the companions of C-008.
pub fn millennium() -> Rules {
    let known = [
        "_outputFormat",
        "_since",
        "_type",
        "_typeFilter",
        "includeAssociatedData",
        "patient",
    ];
    Rules {
        methods: Methods {
            system: BTreeSet::new(),
            patient: BTreeSet::from([KickoffMethod::Post]),
            group: BTreeSet::from([KickoffMethod::Get]),
        },
        parameters: Some(names(&known)),
        companions: types(&COMPANIONS),
        patients_required: true,
        most_patients: Some(MOST_PATIENTS),
        filters: FilterRules {
            needs_type: true,
            once: true,
            excluded_types: types(&UNFILTERED),
            excluded_parameters: names(&UNSEARCHED),
        },
        associated_needs_type: true,
        scopes_at_status: false,
        paths: Paths::Millennium,
        progress: ProgressForm::Word,
        errors: Errors::Millennium,
        opc_request_id: true,
        ballot: false,
        ..Rules::default()
    }
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn types(list: &[&str]) -> BTreeSet<ResourceType> {
    list.iter().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::PARAMETERS;

    #[test]
    fn every_name_in_the_presets_is_known() {
        assert_eq!(types(&SOARIAN_TYPES).len(), SOARIAN_TYPES.len());
        assert_eq!(types(&COMPANIONS).len(), COMPANIONS.len());
        assert_eq!(types(&UNFILTERED).len(), UNFILTERED.len());
        for rules in [soarian(), millennium()] {
            let mut parameters = rules.parameters.into_iter().flatten();
            assert!(parameters.all(|name| PARAMETERS.contains(&name.as_str())));
        }
    }
}
