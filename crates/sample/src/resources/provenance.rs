//! Provenance: who wrote down what about a visit.

use crate::case::Case;
use crate::chart::Visit;
use crate::code::code;
use crate::error::SampleError;
use crate::json::Json;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// Writes, at some visits, who is the author of what was written.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
) -> Result<(), SampleError> {
    if !case.dice.chance(400) {
        return Ok(());
    }
    let recorded = case.recorded(visit.end).not_after_today();
    // Some batches carry the record of somebody else as well.
    let other = case.sometimes_companion(60);
    let targets: Vec<_> = case.fresh.iter().take(6).copied().collect();
    let me = case.next(Kind::Provenance);
    let person = case.person.me;
    let head = Head {
        what: me,
        profile: us_core!("provenance"),
        updated: recorded,
        narrative: Some(&format_args!(
            "Recorded by {} at {}",
            visit.clinician, visit.clinic
        )),
    };
    scribe.resource(&head, |json| {
        json.list("target", |json| {
            json.reference_item(visit.me);
            json.reference_item(person);
            for target in targets.into_iter().chain(other) {
                json.reference_item(target);
            }
        });
        json.text("occurredDateTime", &visit.start);
        json.text("recorded", &recorded.utc(0));
        let acts = "http://terminology.hl7.org/CodeSystem/v3-DataOperation";
        json.coded("activity", &code(acts, "CREATE", "create"));
        json.list("agent", |json| {
            agent(json, visit, ("author", "Author"));
            agent(json, visit, ("transmitter", "Transmitter"));
        });
    })
}

fn agent(json: &mut Json, visit: &Visit, (role, words): (&'static str, &'static str)) {
    let system = if role == "author" {
        "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    } else {
        "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type"
    };
    json.item(|json| {
        json.coded("type", &code(system, role, words));
        json.reference_to("who", visit.clinician.who(), &visit.clinician);
        json.reference_to("onBehalfOf", visit.clinic.organization(), &visit.clinic);
    });
}
