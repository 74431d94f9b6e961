//! `MedicationRequest`: what is prescribed at a visit.

use crate::case::Case;
use crate::catalog::drugs::Drug;
use crate::chart::{Chart, Problem, Visit};
use crate::code::{Code, Unit, code, unit};
use crate::decimal::Decimal;
use crate::error::SampleError;
use crate::json::Json;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

static OUTPATIENT: Code = code(
    "http://terminology.hl7.org/CodeSystem/medicationrequest-category",
    "outpatient",
    "Outpatient",
);
static DOSE: Unit = unit("dose", "{dose}");
static DAY: Unit = unit("day", "d");

/// Prescribes for the reason of the visit, and renews now and then what lasts.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    visit: &Visit,
) -> Result<(), SampleError> {
    if let Some(problem) = &visit.reason {
        write_one(scribe, case, visit, problem)?;
    }
    for problem in chart.lasting() {
        let is_known =
            problem.onset <= visit.start && chart.visits[problem.noticed].start <= visit.start;
        let is_reason = visit.reason.is_some_and(|reason| reason.me == problem.me);
        if is_known && !is_reason && case.dice.chance(170) {
            write_one(scribe, case, visit, problem)?;
        }
    }
    Ok(())
}

fn write_one(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    problem: &Problem,
) -> Result<(), SampleError> {
    let Some(drug) = problem.what.drug else {
        return Ok(());
    };
    let me = case.next(Kind::MedicationRequest);
    let finished = visit.end.plus_minutes(drug.days * 1440);
    let ended = finished.day() <= case.person.last_day();
    let updated = case.recorded(if ended { finished } else { visit.end });
    let person = &case.person;
    let head = Head {
        what: me,
        profile: us_core!("medicationrequest"),
        updated,
        narrative: Some(&format_args!("{}: {}", drug.code.display, drug.directions)),
    };
    scribe.resource(&head, |json| {
        json.text("status", if ended { "completed" } else { "active" });
        json.text("intent", "order");
        json.concepts("category", &OUTPATIENT);
        json.concept("medicationCodeableConcept", &drug.code);
        json.reference_to("subject", person.me, &person.name);
        json.reference("encounter", visit.me);
        json.text("authoredOn", &visit.end);
        json.reference_to("requester", visit.clinician.who(), &visit.clinician);
        json.references("reasonReference", &[problem.me]);
        dosage(json, drug);
        json.object("dispenseRequest", |json| {
            json.bare("numberOfRepeatsAllowed", &i32::from(problem.lasting));
            json.quantity("quantity", Decimal::whole(drug.daily * drug.days), &DOSE);
            json.quantity("expectedSupplyDuration", Decimal::whole(drug.days), &DAY);
        });
    })
}

fn dosage(json: &mut Json, drug: &Drug) {
    json.single("dosageInstruction", |json| {
        json.bare("sequence", &1);
        json.text("text", drug.directions);
        json.object("timing", |json| {
            json.object("repeat", |json| {
                json.bare("frequency", &drug.daily);
                json.bare("period", &1);
                json.text("periodUnit", "d");
            });
        });
        json.single("doseAndRate", |json| {
            json.quantity("doseQuantity", Decimal::whole(1), &DOSE);
        });
    });
}
