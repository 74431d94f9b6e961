//! `DocumentReference`: the clinician's note about a visit, carried inline.

use std::fmt::Write;

use crate::base64::Base64;
use crate::case::Case;
use crate::chart::{Chart, Visit};
use crate::code::{Code, code, loinc};
use crate::error::SampleError;
use crate::json::Json;
use crate::kind::Kind;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

static PROGRESS: Code = loinc("11506-3", "Progress note");
static CATEGORY: Code = code(
    "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
    "clinical-note",
    "Clinical Note",
);

/// Writes a note about some of the visits.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    visit: &Visit,
) -> Result<(), SampleError> {
    if !case.dice.chance(420) {
        return Ok(());
    }
    let me = case.next(Kind::DocumentReference);
    let updated = case.recorded(visit.end);
    let text = compose(case, chart, visit);
    let person = &case.person;
    let head = Head {
        what: me,
        profile: us_core!("documentreference"),
        updated,
        narrative: Some(&format_args!(
            "Progress note of {} by {}",
            visit.start.day(),
            visit.clinician
        )),
    };
    scribe.resource(&head, |json| {
        json.list("identifier", |json| {
            json.identifier("urn:ietf:rfc:3986", &format_args!("urn:uuid:{}", me.id));
        });
        json.text("status", "current");
        json.coded("type", &PROGRESS);
        json.concepts("category", &CATEGORY);
        json.reference_to("subject", person.me, &person.name);
        json.text("date", &visit.end.utc(0));
        json.single("author", |json| {
            json.text("reference", &visit.clinician.who());
            json.text("display", &visit.clinician);
        });
        json.reference_to("custodian", visit.clinic.organization(), &visit.clinic);
        json.single("content", |json| content(json, visit, &text));
        json.object("context", |json| {
            json.references("encounter", &[visit.me]);
            json.period("period", visit.start, Some(visit.end));
        });
    })
}

fn content(json: &mut Json, visit: &Visit, text: &str) {
    json.object("attachment", |json| {
        json.text("contentType", "text/plain; charset=utf-8");
        json.text("language", "en-US");
        json.text("data", &Base64(text.as_bytes()));
        json.bare("size", &text.len());
        json.text("title", &PROGRESS.display);
        json.text("creation", &visit.end);
    });
    let formats = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode";
    json.coding(
        "format",
        &code(
            formats,
            "urn:ihe:iti:xds:2017:mimeTypeSufficient",
            "mimeType Sufficient",
        ),
    );
}

/// The words of the note. Writing to a string cannot fail, so the results are let go.
fn compose(case: &Case, chart: &Chart, visit: &Visit) -> String {
    let person = &case.person;
    let day = visit.start.day();
    let mut text = String::with_capacity(1024);
    let who = if person.birth.female {
        "female"
    } else {
        "male"
    };
    let age = person.age_on(day);
    let _ = writeln!(text, "{day}\n\n# Chief complaint");
    let complaint = visit
        .reason
        .map_or("No complaints.", |it| it.what.clinical.display);
    let _ = writeln!(text, "- {complaint}\n\n# History of present illness");
    let _ = writeln!(
        text,
        "{} is a {age} year-old {who}, seen at {} for {}.",
        person.name, visit.clinic, visit.kind.code.display
    );
    let known = chart
        .lasting()
        .filter(|problem| problem.onset <= visit.start);
    let _ = writeln!(text, "Patient has a history of:");
    let before = text.len();
    for problem in known {
        let _ = writeln!(
            text,
            "- {} (since {})",
            problem.what.clinical.display,
            problem.onset.day().year()
        );
    }
    if text.len() == before {
        text.push_str("- no chronic illness\n");
    }
    text.push_str("\n# Assessment and plan\n");
    if let Some(reason) = &visit.reason {
        let (illness, billing) = (reason.what.clinical.display, reason.what.billing.symbol);
        let _ = writeln!(text, "Patient is presenting with {illness} ({billing}).");
        if let Some(drug) = reason.what.drug {
            let _ = writeln!(
                text,
                "Prescribed: {}. {}",
                drug.code.display, drug.directions
            );
        }
    } else {
        text.push_str("Findings are unremarkable. Preventive advice was given.\n");
    }
    let _ = writeln!(
        text,
        "Return as needed, or for the next examination.\n\n{}",
        visit.clinician
    );
    text
}
