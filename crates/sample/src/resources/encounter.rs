//! Encounter: a visit.

use crate::case::Case;
use crate::chart::Visit;
use crate::code::code;
use crate::error::SampleError;
use crate::json::Json;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// Writes the Encounter of a visit.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
) -> Result<(), SampleError> {
    let updated = case.recorded(visit.end);
    let person = &case.person;
    let (day, kind) = (visit.start.day(), visit.kind);
    let head = Head {
        what: visit.me,
        profile: us_core!("encounter"),
        updated,
        narrative: Some(&format_args!(
            "{} on {day} at {}",
            kind.code.display, visit.clinic
        )),
    };
    scribe.resource(&head, |json| {
        json.text("status", "finished");
        json.coding("class", &kind.class);
        json.concepts("type", &kind.code);
        json.reference_to("subject", person.me, &person.name);
        json.single("participant", |json| participant(json, visit));
        json.period("period", visit.start, Some(visit.end));
        if let Some(reason) = &visit.reason {
            json.concepts("reasonCode", &reason.what.clinical);
            json.single("diagnosis", |json| {
                json.reference_to("condition", reason.me, &reason.what.clinical.display);
            });
        }
        json.list("location", |json| {
            json.item(|json| {
                json.reference_to("location", visit.clinic.location(), &visit.clinic);
            });
        });
        json.reference_to(
            "serviceProvider",
            visit.clinic.organization(),
            &visit.clinic,
        );
    })
}

fn participant(json: &mut Json, visit: &Visit) {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
    json.concepts("type", &code(system, "PPRF", "primary performer"));
    json.reference_to("individual", visit.clinician.who(), &visit.clinician);
}
