//! Procedure: what was done at a visit.

use crate::case::Case;
use crate::catalog::procedures::{ACTS, Act};
use crate::chart::Visit;
use crate::error::SampleError;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// Writes what the reason of the visit calls for, and something routine at half of the visits.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
) -> Result<(), SampleError> {
    let age = case.person.age_on(visit.start.day());
    let female = case.person.birth.female;
    let reason = visit.reason.map(|reason| reason.what.billing.symbol);
    let called_for = |act: &Act| reason.is_some_and(|reason| act.reasons.contains(&reason));
    for act in ACTS.iter().filter(|act| called_for(act)) {
        if case.dice.chance(700) {
            write_one(scribe, case, visit, act)?;
        }
    }
    let first = case.dice.below(6) as usize;
    let routine = |act: &&Act| {
        act.reasons.is_empty()
            && (act.ages[0]..=act.ages[1]).contains(&age)
            && (female || !act.women)
    };
    let wanted = usize::from(case.dice.chance(480));
    for act in ACTS
        .iter()
        .cycle()
        .skip(first)
        .take(ACTS.len())
        .filter(routine)
        .take(wanted)
    {
        write_one(scribe, case, visit, act)?;
    }
    Ok(())
}

fn write_one(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    act: &Act,
) -> Result<(), SampleError> {
    let me = case.next(Kind::Procedure);
    let start = visit.start.plus_minutes(5);
    let end = start.plus_minutes(case.dice.between(act.minutes / 2, act.minutes));
    let updated = case.recorded(end.max(visit.end));
    let person = &case.person;
    let head = Head {
        what: me,
        profile: us_core!("procedure"),
        updated,
        narrative: Some(&format_args!("{} on {}", act.code.display, start.day())),
    };
    scribe.resource(&head, |json| {
        json.text("status", "completed");
        json.concept("code", &act.code);
        json.reference_to("subject", person.me, &person.name);
        json.reference("encounter", visit.me);
        json.period("performedPeriod", start, Some(end));
        json.single("performer", |json| {
            json.reference_to("actor", visit.clinician.who(), &visit.clinician);
            json.reference("onBehalfOf", visit.clinic.organization());
        });
        json.reference_to("location", visit.clinic.location(), &visit.clinic);
        if let Some(reason) = visit.reason.filter(|_| !act.reasons.is_empty()) {
            json.references("reasonReference", &[reason.me]);
        }
    })
}
