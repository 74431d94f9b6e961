//! Immunization: vaccines given at the examination of the year, and more to small children.

use crate::case::Case;
use crate::catalog::vaccines::{INFLUENZA, OTHERS, Vaccine};
use crate::chart::Visit;
use crate::code::{Unit, code, unit};
use crate::decimal::Decimal;
use crate::error::SampleError;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

static MILLILITER: Unit = unit("mL", "mL");

/// Writes the vaccines that are due.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
) -> Result<(), SampleError> {
    let age = case.person.age_on(visit.start.day());
    if visit.is_yearly && case.dice.chance(800) {
        write_one(scribe, case, visit, &INFLUENZA)?;
    }
    let often = if age < 7 { 300 } else { 100 };
    for vaccine in &OTHERS {
        let due = (vaccine.ages[0]..=vaccine.ages[1]).contains(&age);
        if due && visit.is_yearly && case.dice.chance(often) {
            write_one(scribe, case, visit, vaccine)?;
        }
    }
    Ok(())
}

fn write_one(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    vaccine: &Vaccine,
) -> Result<(), SampleError> {
    let me = case.next(Kind::Immunization);
    let updated = case.recorded(visit.end);
    let lot = case.dice.between(10_000, 99_999);
    let person = &case.person;
    let head = Head {
        what: me,
        profile: us_core!("immunization"),
        updated,
        narrative: Some(&format_args!(
            "{} on {}",
            vaccine.code.display,
            visit.start.day()
        )),
    };
    scribe.resource(&head, |json| {
        json.text("status", "completed");
        json.concept("vaccineCode", &vaccine.code);
        json.reference_to("patient", person.me, &person.name);
        json.reference("encounter", visit.me);
        json.text("occurrenceDateTime", &visit.start);
        json.bare("primarySource", &true);
        json.reference_to("location", visit.clinic.location(), &visit.clinic);
        json.text("lotNumber", &format_args!("L{lot}"));
        let sites = "http://terminology.hl7.org/CodeSystem/v3-ActSite";
        json.coded("site", &code(sites, "LA", "left arm"));
        let routes = "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration";
        json.coded("route", &code(routes, "IM", "Injection, intramuscular"));
        json.quantity("doseQuantity", Decimal::tenths(5), &MILLILITER);
        json.single("performer", |json| {
            json.reference_to("actor", visit.clinician.who(), &visit.clinician);
        });
    })
}
