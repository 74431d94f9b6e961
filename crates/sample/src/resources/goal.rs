//! Goal: what a plan wants to reach.

use crate::case::Case;
use crate::chart::{Chart, Problem};
use crate::code::{Code, Unit, code, loinc, unit};
use crate::decimal::Decimal;
use crate::error::SampleError;
use crate::identity::Ref;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// Something to reach.
#[derive(Debug)]
struct Aim {
    words: &'static str,
    measure: Code,
    value: Decimal,
    unit: Unit,
}

static AIMS: [Aim; 4] = [
    Aim {
        words: "Hemoglobin A1c below 7 percent",
        measure: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        value: Decimal::tenths(70),
        unit: unit("%", "%"),
    },
    Aim {
        words: "Systolic blood pressure below 130 mmHg",
        measure: loinc("8480-6", "Systolic blood pressure"),
        value: Decimal::whole(130),
        unit: unit("mmHg", "mm[Hg]"),
    },
    Aim {
        words: "Body mass index below 27",
        measure: loinc("39156-5", "Body mass index (BMI) [Ratio]"),
        value: Decimal::tenths(270),
        unit: unit("kg/m2", "kg/m2"),
    },
    Aim {
        words: "Total cholesterol below 200 mg/dL",
        measure: loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"),
        value: Decimal::whole(200),
        unit: unit("mg/dL", "mg/dL"),
    },
];

/// Writes two goals for an illness.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    problem: &Problem,
) -> Result<[Ref; 2], SampleError> {
    let first = case.dice.below(4) as usize;
    let one = write_one(scribe, case, chart, (problem, &AIMS[first]))?;
    let two = write_one(
        scribe,
        case,
        chart,
        (problem, &AIMS[(first + 1) % AIMS.len()]),
    )?;
    Ok([one, two])
}

fn write_one(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    (problem, aim): (&Problem, &Aim),
) -> Result<Ref, SampleError> {
    let me = case.next(Kind::Goal);
    let visit = &chart.visits[problem.noticed];
    let updated = case.recorded(visit.end);
    let due = visit.start.day().plus(case.dice.between(90, 720));
    let person = &case.person;
    let head = Head {
        what: me,
        profile: us_core!("goal"),
        updated,
        narrative: Some(&aim.words),
    };
    scribe.resource(&head, |json| {
        json.text(
            "lifecycleStatus",
            if person.death.is_none() {
                "active"
            } else {
                "cancelled"
            },
        );
        let system = "http://terminology.hl7.org/CodeSystem/goal-achievement";
        json.coded(
            "achievementStatus",
            &code(system, "in-progress", "In Progress"),
        );
        json.object("description", |json| json.text("text", aim.words));
        json.reference_to("subject", person.me, &person.name);
        json.text("startDate", &visit.start.day());
        json.single("target", |json| {
            json.coded("measure", &aim.measure);
            json.quantity("detailQuantity", aim.value, &aim.unit);
            json.text("dueDate", &due);
        });
        json.reference_to("expressedBy", visit.clinician.who(), &visit.clinician);
        json.references("addresses", &[problem.me]);
    })?;
    Ok(me)
}
