//! Observation: what all observations of a visit have in common.

use crate::case::Case;
use crate::chart::Visit;
use crate::code::{Code, code};
use crate::error::SampleError;
use crate::identity::Ref;
use crate::json::Json;
use crate::kind::Kind;
use crate::scribe::{Head, Scribe};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// Vital signs.
pub(super) static VITAL_SIGNS: Code = code(CATEGORY, "vital-signs", "Vital Signs");
/// Laboratory.
pub(super) static LABORATORY: Code = code(CATEGORY, "laboratory", "Laboratory");
/// Habits.
pub(super) static SOCIAL_HISTORY: Code = code(CATEGORY, "social-history", "Social History");

/// What was observed, apart from the result.
pub(super) struct Observed<'a> {
    /// What kind of observation it is.
    pub(super) category: &'static Code,
    /// What was observed; further codes say the same.
    pub(super) codes: &'a [&'a Code],
    /// The profile.
    pub(super) profile: &'static str,
}

/// Writes an Observation; the body adds the result.
pub(super) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    observed: &Observed<'_>,
    body: impl FnOnce(&mut Json),
) -> Result<Ref, SampleError> {
    let me = case.next(Kind::Observation);
    let issued = visit.start.plus_seconds(case.dice.between(60, 7200));
    let updated = case.recorded(issued.max(visit.end));
    // Now and then somebody close measures, and the observation is then theirs too.
    let performer = case.sometimes_companion(9).unwrap_or(visit.clinician.who());
    let person = &case.person;
    let head = Head {
        what: me,
        profile: observed.profile,
        updated,
        narrative: None,
    };
    scribe.resource(&head, |json| {
        json.text("status", "final");
        json.concepts("category", observed.category);
        json.coded_as("code", observed.codes);
        json.reference("subject", person.me);
        json.reference("encounter", visit.me);
        json.text("effectiveDateTime", &visit.start);
        json.text("issued", &issued.utc(0));
        json.references("performer", &[performer]);
        body(json);
    })?;
    Ok(me)
}
