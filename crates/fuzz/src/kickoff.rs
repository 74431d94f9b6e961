//! Kick-off parameters: a query and a body that say the same mean the same.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sluice_fhir::parameters::{Context, Kickoff, RawParameter, check, from_body, from_query};
use sluice_fhir::{Issue, Level, compartment, is_id};

use crate::parts::{first_line, text};

/// Parameters that say the same in a query and in a body.
const SAME: [&str; 4] = ["_type", "_since", "_until", "_outputFormat"];

/// Takes the first line as a query string and the rest as a body.
///
/// # Panics
///
/// When the two would be understood differently, or a checked request makes no sense.
pub fn kickoff(data: &[u8]) {
    let (query, body) = first_line(data);
    let query = from_query(&text(query));
    let body = from_body(body);
    let query = query.unwrap_or_default();
    makes_sense(&query);
    agrees(&query);
    if let Ok(body) = body {
        makes_sense(&body);
        agrees(&body);
        // A POST may have both.
        makes_sense(&[query, body].concat());
    }
}

fn levels() -> [Level; 3] {
    [Level::System, Level::Patient, Level::Group("g".to_owned())]
}

fn ask(raw: &[RawParameter], level: &Level, lenient: bool) -> Result<Kickoff, Vec<Issue>> {
    let base = "https://h/default/fhir";
    let context = Context {
        level,
        lenient,
        base,
    };
    check(raw, &context)
}

fn makes_sense(raw: &[RawParameter]) {
    for level in levels() {
        let strict = ask(raw, &level, false);
        let lenient = ask(raw, &level, true);
        if let Ok(strict) = &strict {
            assert!(strict.ignored.is_empty(), "nothing is ignored in silence");
            assert_eq!(Ok(strict), lenient.as_ref());
        }
        for asked in [strict, lenient] {
            match asked {
                Ok(asked) => is_sound(&asked, raw, &level),
                Err(problems) => assert!(
                    !problems.is_empty() && problems.iter().all(|problem| !problem.text.is_empty())
                ),
            }
        }
    }
}

fn is_sound(asked: &Kickoff, raw: &[RawParameter], level: &Level) {
    if let Some(types) = &asked.types {
        assert!(!types.is_empty() && types.is_sorted_by(|one, next| one < next));
        assert!(types.iter().all(|kind| kind.is_exportable()));
        let inside = types.iter().any(|kind| compartment::contains(*kind));
        assert!(inside || !level.is_patient_based());
    }
    if let Some(patients) = &asked.patients {
        assert!(!patients.is_empty() && patients.is_sorted_by(|one, next| one < next));
        assert!(patients.iter().all(|id| is_id(id)) && level.is_patient_based());
    }
    let mut patients = raw.iter().filter(|one| one.name == "patient");
    assert_eq!(asked.patients.is_some(), patients.clone().next().is_some());
    assert!(patients.all(|one| one.in_body));
}

/// The same pairs by GET and by POST.
fn agrees(raw: &[RawParameter]) {
    let pairs = raw.iter().filter(|one| SAME.contains(&one.name.as_str()));
    let pairs: Vec<(&str, &str)> = pairs
        .map(|one| (one.name.as_str(), one.value.as_str()))
        .collect();
    let encoded = pairs.iter().map(|(name, value)| {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        format!("{name}={value}")
    });
    let query = encoded.collect::<Vec<_>>().join("&");
    let entries = pairs
        .iter()
        .map(|(name, value)| json!({ "name": name, "valueString": value }));
    let entries: Vec<Value> = entries.collect();
    let body = json!({ "resourceType": "Parameters", "parameter": entries }).to_string();
    let (Ok(get), Ok(post)) = (from_query(&query), from_body(body.as_bytes())) else {
        assert!(
            pairs.is_empty() && query.is_empty(),
            "unreadable: {query} {body}"
        );
        return;
    };
    // Who forgets to encode a plus sign is understood all the same (T-012).
    let plus = from_query(&query.replace("%2B", "+")).unwrap_or_default();
    for level in levels() {
        for lenient in [false, true] {
            let asked = ask(&post, &level, lenient);
            assert_eq!(ask(&get, &level, lenient), asked, "{query}");
        }
        let strict = ask(&post, &level, false);
        if strict.is_ok() {
            assert_eq!(ask(&plus, &level, false), strict, "{query}");
        }
    }
}
