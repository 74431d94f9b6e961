//! Condition: the illnesses of a patient.

use crate::case::Case;
use crate::chart::{Chart, Problem};
use crate::code::code;
use crate::error::SampleError;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// Writes a Condition.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    problem: &Problem,
) -> Result<(), SampleError> {
    let visit = &chart.visits[problem.noticed];
    let updated = case.recorded(problem.passed.unwrap_or(visit.end).max(visit.end));
    let person = &case.person;
    let (profile, category, words) = if problem.lasting {
        (
            us_core!("condition-problems-health-concerns"),
            "problem-list-item",
            "Problem List Item",
        )
    } else {
        (
            us_core!("condition-encounter-diagnosis"),
            "encounter-diagnosis",
            "Encounter Diagnosis",
        )
    };
    let since = problem.onset.day();
    let head = Head {
        what: problem.me,
        profile,
        updated,
        narrative: Some(&format_args!(
            "{} since {since}",
            problem.what.clinical.display
        )),
    };
    scribe.resource(&head, |json| {
        let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
        let (status, name) = if problem.passed.is_some() {
            ("resolved", "Resolved")
        } else {
            ("active", "Active")
        };
        json.coded("clinicalStatus", &code(system, status, name));
        let system = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
        json.coded(
            "verificationStatus",
            &code(system, "confirmed", "Confirmed"),
        );
        let system = "http://terminology.hl7.org/CodeSystem/condition-category";
        json.concepts("category", &code(system, category, words));
        json.concept_of("code", &[&problem.what.clinical, &problem.what.billing]);
        json.reference_to("subject", person.me, &person.name);
        json.reference("encounter", visit.me);
        json.text("onsetDateTime", &problem.onset);
        if let Some(passed) = problem.passed {
            json.text("abatementDateTime", &passed);
        }
        json.text("recordedDate", &visit.start);
        json.reference_to("recorder", visit.clinician.who(), &visit.clinician);
    })
}
