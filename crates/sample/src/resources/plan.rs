//! `CarePlan`: what is agreed about an illness that lasts.

use std::fmt::Display;

use super::goal;
use crate::case::Case;
use crate::catalog::ailments::DIABETES;
use crate::chart::{Chart, Problem};
use crate::code::{Code, code, snomed};
use crate::error::SampleError;
use crate::identity::Ref;
use crate::json::Json;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// What every plan asks of the patient.
static USUAL: [Code; 2] = [
    snomed("229065009", "Exercise therapy (regime/therapy)"),
    snomed("226234005", "Healthy diet (finding)"),
];
static DIABETIC: [Code; 2] = [
    snomed("229065009", "Exercise therapy (regime/therapy)"),
    snomed("160670007", "Diabetic diet (finding)"),
];

/// Writes goals and a plan for each of the first illnesses that last.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    team: Ref,
) -> Result<(), SampleError> {
    for problem in chart.lasting().take(3) {
        let goals = goal::write(scribe, case, chart, problem)?;
        write_one(scribe, case, chart, (problem, team, goals))?;
    }
    Ok(())
}

fn write_one(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    (problem, team, goals): (&Problem, Ref, [Ref; 2]),
) -> Result<(), SampleError> {
    let me = case.next(Kind::CarePlan);
    let visit = &chart.visits[problem.noticed];
    let updated = case.recorded(visit.end);
    let is_diabetes = problem.what.billing == DIABETES.billing;
    let activities = if is_diabetes { &DIABETIC } else { &USUAL };
    let person = &case.person;
    let name = problem.what.clinical.display;
    let head = Head {
        what: me,
        profile: us_core!("careplan"),
        updated,
        narrative: Some(&format_args!("Plan for {name}")),
    };
    scribe.resource(&head, |json| {
        json.text(
            "status",
            if person.death.is_none() {
                "active"
            } else {
                "revoked"
            },
        );
        json.text("intent", "plan");
        category(json);
        json.text("title", &format_args!("Plan for {name}"));
        json.reference_to("subject", person.me, &person.name);
        json.reference("encounter", visit.me);
        json.period("period", visit.start, person.death);
        json.reference_to("author", visit.clinician.who(), &visit.clinician);
        json.references("careTeam", &[team]);
        json.references("addresses", &[problem.me]);
        json.references("goal", &goals);
        json.list("activity", |json| {
            for activity in activities {
                detail(json, activity, &visit.clinic);
            }
        });
    })
}

fn category(json: &mut Json) {
    let system = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category";
    json.concepts(
        "category",
        &code(system, "assess-plan", "Assessment and Plan of Treatment"),
    );
}

fn detail(json: &mut Json, activity: &Code, clinic: &dyn Display) {
    json.item(|json| {
        json.object("detail", |json| {
            json.concept("code", activity);
            json.text("status", "in-progress");
            json.text(
                "description",
                &format_args!("{}, advised at {clinic}", activity.display),
            );
        });
    });
}
