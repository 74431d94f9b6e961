//! `CareTeam`: who looks after a patient.

use crate::case::Case;
use crate::chart::{Chart, Visit};
use crate::code::{Code, snomed};
use crate::error::SampleError;
use crate::identity::{Ref, patient_ref};
use crate::json::Json;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

static PATIENT: Code = snomed("116154003", "Patient (person)");
static PARENT: Code = snomed("40683002", "Parent (person)");
static CLINICIAN: Code = snomed("223366009", "Healthcare professional (occupation)");

/// Writes the `CareTeam`.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
) -> Result<Ref, SampleError> {
    let me = case.next(Kind::CareTeam);
    let [Some(first), Some(last)] = [chart.visits.first(), chart.visits.last()] else {
        return Ok(me);
    };
    let updated = case.recorded(last.end);
    let person = &case.person;
    let head = Head {
        what: me,
        profile: us_core!("careteam"),
        updated,
        narrative: Some(&format_args!("Care team of {}", person.name)),
    };
    scribe.resource(&head, |json| {
        json.text(
            "status",
            if person.death.is_none() {
                "active"
            } else {
                "inactive"
            },
        );
        json.text("name", &format_args!("Care team of {}", person.name));
        json.reference_to("subject", person.me, &person.name);
        json.reference("encounter", first.me);
        json.period("period", first.start, person.death);
        json.list("participant", |json| {
            member(json, &PATIENT, person.me);
            if let Some(parent) = person.parent {
                member(json, &PARENT, patient_ref(person.seed, parent));
            }
            clinician(json, first);
            if first.clinician.who() != last.clinician.who() {
                clinician(json, last);
            }
        });
        json.references("managingOrganization", &[last.clinic.organization()]);
    })?;
    Ok(me)
}

fn member(json: &mut Json, role: &Code, who: Ref) {
    json.item(|json| {
        json.concepts("role", role);
        json.reference("member", who);
    });
}

fn clinician(json: &mut Json, visit: &Visit) {
    json.item(|json| {
        json.concepts("role", &CLINICIAN);
        json.reference_to("member", visit.clinician.who(), &visit.clinician);
    });
}
