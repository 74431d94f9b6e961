//! Patient: names, home, and the background that US Core asks for.

use crate::case::Case;
use crate::chart::Chart;
use crate::code::{Code, code};
use crate::error::SampleError;
use crate::json::Json;
use crate::person::{Name, Person};
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

const RACE: &str = "urn:oid:2.16.840.1.113883.6.238";
const MARITAL: &str = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";

/// Race, each with how many in a hundred.
static RACES: [(Code, u32); 5] = [
    (code(RACE, "2106-3", "White"), 66),
    (code(RACE, "2054-5", "Black or African American"), 16),
    (code(RACE, "2028-9", "Asian"), 11),
    (code(RACE, "2131-1", "Other Race"), 5),
    (code(RACE, "1002-5", "American Indian or Alaska Native"), 2),
];
static HISPANIC: Code = code(RACE, "2135-2", "Hispanic or Latino");
static NOT_HISPANIC: Code = code(RACE, "2186-5", "Not Hispanic or Latino");
static MARITAL_STATES: [Code; 5] = [
    code(MARITAL, "S", "Never Married"),
    code(MARITAL, "M", "Married"),
    code(MARITAL, "M", "Married"),
    code(MARITAL, "D", "Divorced"),
    code(MARITAL, "W", "Widowed"),
];
static LANGUAGES: [Code; 4] = [
    code("urn:ietf:bcp:47", "en-US", "English (United States)"),
    code("urn:ietf:bcp:47", "es", "Spanish"),
    code("urn:ietf:bcp:47", "pt", "Portuguese"),
    code("urn:ietf:bcp:47", "zh", "Chinese"),
];

/// Writes the Patient.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
) -> Result<(), SampleError> {
    let last_seen = chart
        .visits
        .last()
        .map_or(case.person.birth.day.at_minute(0), |it| it.end);
    let updated = case.recorded(case.person.death.unwrap_or(last_seen));
    let person = &case.person;
    let head = Head {
        what: person.me,
        profile: us_core!("patient"),
        updated,
        narrative: Some(&format_args!("{}, born {}", person.name, person.birth.day)),
    };
    scribe.resource(&head, |json| {
        json.list("extension", |json| background(json, person));
        json.list("identifier", |json| identifiers(json, person));
        json.bare("active", &person.death.is_none());
        json.single("name", |json| {
            json.text("use", "official");
            json.text("family", person.name.family);
            json.list("given", |json| {
                json.text_item(person.name.given);
                json.text_item(person.middle);
            });
        });
        json.list("telecom", |json| telecom(json, person));
        json.text(
            "gender",
            if person.birth.female {
                "female"
            } else {
                "male"
            },
        );
        json.text("birthDate", &person.birth.day);
        match person.death {
            Some(death) => json.text("deceasedDateTime", &death),
            None => json.bare("deceasedBoolean", &false),
        }
        json.list("address", |json| {
            json.item(|json| person.home.write(json, "home"));
        });
        social(json, person);
        if let Some(visit) = chart.visits.last() {
            json.references("generalPractitioner", &[visit.clinician.who()]);
            json.reference_to(
                "managingOrganization",
                visit.clinic.organization(),
                &visit.clinic,
            );
        }
    })
}

fn background(json: &mut Json, person: &Person) {
    let draw = person.trait_draw;
    let mut rest = draw % 100;
    let mut race = &RACES[0].0;
    for (candidate, weight) in &RACES {
        race = candidate;
        if rest < *weight {
            break;
        }
        rest -= weight;
    }
    let ethnicity = if draw / 7 % 100 < 14 {
        &HISPANIC
    } else {
        &NOT_HISPANIC
    };
    for (url, code) in [(us_core!("race"), race), (us_core!("ethnicity"), ethnicity)] {
        json.item(|json| {
            json.list("extension", |json| {
                json.item(|json| {
                    json.text("url", "ombCategory");
                    json.coding("valueCoding", code);
                });
                json.item(|json| {
                    json.text("url", "text");
                    json.text("valueString", code.display);
                });
            });
            json.text("url", url);
        });
    }
    json.item(|json| {
        json.text("url", us_core!("birthsex"));
        json.text("valueCode", if person.birth.female { "F" } else { "M" });
    });
}

fn identifiers(json: &mut Json, person: &Person) {
    let number = u64::from(person.n) + 10_000_000;
    for (kind, words, system) in [
        (
            "MR",
            "Medical Record Number",
            "https://sluice.example/medical-record-numbers",
        ),
        (
            "MB",
            "Member Number",
            "https://sluice.example/member-numbers",
        ),
    ] {
        json.item(|json| {
            let system_of_kinds = "http://terminology.hl7.org/CodeSystem/v2-0203";
            json.coded("type", &code(system_of_kinds, kind, words));
            json.text("system", system);
            json.text("value", &format_args!("{kind}{number}"));
        });
    }
}

fn telecom(json: &mut Json, person: &Person) {
    let (area, line) = (person.home.city.area, person.phone);
    json.contact_point("phone", "home", &format_args!("+1-{area}-555-{line:04}"));
    if person.trait_draw % 10 < 7 {
        let Name { given, family } = person.name;
        let mail = format_args!("{given}.{family}{}@mail.example", person.n);
        json.contact_point("email", "home", &mail);
    }
}

fn social(json: &mut Json, person: &Person) {
    let draw = person.trait_draw as usize / 11;
    let adult = person.birth.age() >= 20;
    let marital = if adult {
        &MARITAL_STATES[draw % 5]
    } else {
        &MARITAL_STATES[0]
    };
    json.coded("maritalStatus", marital);
    let language = if draw % 100 < 85 {
        &LANGUAGES[0]
    } else {
        &LANGUAGES[1 + draw % 3]
    };
    json.single("communication", |json| {
        json.coded("language", language);
        json.bare("preferred", &true);
    });
}
