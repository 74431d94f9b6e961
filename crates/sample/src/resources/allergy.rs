//! `AllergyIntolerance`: what a patient must not meet, or that nothing is known.

use crate::case::Case;
use crate::catalog::allergies::{ALLERGENS, Allergen, REACTIONS};
use crate::chart::{Chart, Visit};
use crate::code::{Code, code, snomed};
use crate::error::SampleError;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

static NONE_KNOWN: Code = snomed("716186003", "No known allergy (situation)");

/// Writes the allergies of a patient.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
) -> Result<(), SampleError> {
    let Some(visit) = chart.visits.first() else {
        return Ok(());
    };
    if case.dice.chance(650) {
        return write_one(scribe, case, visit, None);
    }
    let first = case.dice.below(5) as usize;
    for at in 0..=case.dice.below(3) as usize {
        let allergen = &ALLERGENS[(first + at * 4) % ALLERGENS.len()];
        write_one(scribe, case, visit, Some(allergen))?;
    }
    Ok(())
}

fn write_one(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    allergen: Option<&Allergen>,
) -> Result<(), SampleError> {
    let me = case.next(Kind::AllergyIntolerance);
    let updated = case.recorded(visit.end);
    let (reaction, severity) = case.dice.pick(&REACTIONS);
    let person = &case.person;
    let substance = allergen.map_or(&NONE_KNOWN, |allergen| &allergen.code);
    let head = Head {
        what: me,
        profile: us_core!("allergyintolerance"),
        updated,
        narrative: Some(&substance.display),
    };
    scribe.resource(&head, |json| {
        let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
        json.coded("clinicalStatus", &code(system, "active", "Active"));
        let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
        json.coded(
            "verificationStatus",
            &code(system, "confirmed", "Confirmed"),
        );
        if let Some(allergen) = allergen {
            json.text("type", "allergy");
            json.text_list("category", allergen.category);
            json.text(
                "criticality",
                if *severity == "severe" { "high" } else { "low" },
            );
        }
        json.concept("code", substance);
        json.reference_to("patient", person.me, &person.name);
        json.reference("encounter", visit.me);
        json.text("recordedDate", &visit.start);
        json.reference_to("recorder", visit.clinician.who(), &visit.clinician);
        if allergen.is_some() {
            json.single("reaction", |json| {
                json.concept("substance", substance);
                json.concepts("manifestation", reaction);
                json.text("severity", severity);
            });
        }
    })
}
