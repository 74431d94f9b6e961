//! `DiagnosticReport`: a panel of laboratory results.

use crate::case::Case;
use crate::catalog::labs::Panel;
use crate::chart::Visit;
use crate::code::{Code, code};
use crate::error::SampleError;
use crate::identity::Ref;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

static LABORATORY: Code = code(
    "http://terminology.hl7.org/CodeSystem/v2-0074",
    "LAB",
    "Laboratory",
);

/// Writes the report about some results.
pub(super) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    (panel, results): (&Panel, &[Ref]),
) -> Result<(), SampleError> {
    let me = case.next(Kind::DiagnosticReport);
    let issued = visit.end.plus_seconds(case.dice.between(600, 90_000));
    let updated = case.recorded(issued);
    let person = &case.person;
    let name = panel.code.display;
    let head = Head {
        what: me,
        profile: us_core!("diagnosticreport-lab"),
        updated,
        narrative: Some(&format_args!(
            "{name} on {}, {} results",
            visit.start.day(),
            results.len()
        )),
    };
    scribe.resource(&head, |json| {
        json.text("status", "final");
        json.concepts("category", &LABORATORY);
        json.concept("code", &panel.code);
        json.reference_to("subject", person.me, &person.name);
        json.reference("encounter", visit.me);
        json.text("effectiveDateTime", &visit.start);
        json.text("issued", &issued.not_after_today().utc(0));
        json.references("performer", &[visit.clinic.organization()]);
        json.references("result", results);
    })
}
