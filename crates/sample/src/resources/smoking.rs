//! Whether a patient smokes, asked once a year.

use super::observation::{self, Observed, SOCIAL_HISTORY};
use crate::case::Case;
use crate::chart::Visit;
use crate::code::{Code, loinc, snomed};
use crate::error::SampleError;
use crate::profile::us_core;
use crate::scribe::Scribe;

static QUESTION: Code = loinc("72166-2", "Tobacco smoking status");
static ANSWERS: [Code; 3] = [
    snomed("266919005", "Never smoked tobacco (finding)"),
    snomed("8517006", "Ex-smoker (finding)"),
    snomed("77176002", "Smoker (finding)"),
];

/// Writes the answer of an adult at the examination of the year.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
) -> Result<(), SampleError> {
    let asked = visit.is_yearly && case.person.age_on(visit.start.day()) >= 16;
    if !asked {
        return Ok(());
    }
    let answer = match case.person.trait_draw / 13 % 100 {
        ..66 => &ANSWERS[0],
        66..86 => &ANSWERS[1],
        _ => &ANSWERS[2],
    };
    let observed = Observed {
        category: &SOCIAL_HISTORY,
        codes: &[&QUESTION],
        profile: us_core!("smokingstatus"),
    };
    let body = |json: &mut crate::json::Json| json.concept("valueCodeableConcept", answer);
    observation::write(scribe, case, visit, &observed, body).map(drop)
}
