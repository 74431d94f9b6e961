//! Device: pacemakers of some who have an irregular heartbeat.

use crate::case::Case;
use crate::catalog::ailments::FIBRILLATION;
use crate::chart::Chart;
use crate::code::{Code, snomed};
use crate::error::SampleError;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

static PACEMAKER: Code = snomed(
    "706004007",
    "Implantable cardiac pacemaker (physical object)",
);

/// Writes the pacemaker of a patient who has one.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
) -> Result<(), SampleError> {
    let of_heart = |problem: &&crate::chart::Problem| problem.what.billing == FIBRILLATION.billing;
    let Some(problem) = chart.lasting().find(of_heart) else {
        return Ok(());
    };
    if case.dice.chance(100) {
        return Ok(());
    }
    let visit = &chart.visits[problem.noticed];
    let me = case.next(Kind::Device);
    let updated = case.recorded(visit.end);
    let serial = case.dice.between(100_000_000, 999_999_999);
    let person = &case.person;
    let made = visit.start.plus_minutes(-90 * 1440);
    let expires = visit.start.plus_minutes(12 * 365 * 1440);
    let head = Head {
        what: me,
        profile: us_core!("implantable-device"),
        updated,
        narrative: Some(&format_args!("{} number {serial}", PACEMAKER.display)),
    };
    scribe.resource(&head, |json| {
        json.single("udiCarrier", |json| {
            json.text("deviceIdentifier", "09504000059118");
            json.text("issuer", "http://hl7.org/fhir/NamingSystem/gs1-di");
            json.text(
                "carrierHRF",
                &format_args!("(01)09504000059118(21){serial}"),
            );
        });
        json.text("status", "active");
        json.text("distinctIdentifier", &serial);
        json.text("manufactureDate", &made);
        json.text("expirationDate", &expires);
        json.text("lotNumber", &(serial / 1000));
        json.text("serialNumber", &serial);
        json.single("deviceName", |json| {
            json.text("name", "Implantable cardiac pacemaker");
            json.text("type", "user-friendly-name");
        });
        json.coded("type", &PACEMAKER);
        json.reference_to("patient", person.me, &person.name);
    })
}
