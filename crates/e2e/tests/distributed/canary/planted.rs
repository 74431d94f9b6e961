//! Strings that occur nowhere else in the world, and a folder of resources that are full of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};
use sluice_testkit::base64url;

use crate::site::Site;

/// Makes the canaries of one run. All begin alike, so that those are found of which nobody thought.
pub(super) struct Canaries {
    pub(super) mark: String,
    made: Mutex<BTreeSet<String>>,
}

impl Canaries {
    /// Of letters and digits only: neither JSON nor URLs write them otherwise, and ids may have them.
    pub(super) fn of(site: &Site) -> Self {
        let digits: String = site.name.chars().filter(char::is_ascii_digit).collect();
        let number: u64 = digits.parse().unwrap();
        Self {
            mark: format!("zq{number:x}qz"),
            made: Mutex::default(),
        }
    }

    /// The canary of a place.
    pub(super) fn at(&self, place: &str) -> String {
        assert!(place.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        self.made.lock().unwrap().insert(place.to_owned());
        format!("{}{place}", self.mark)
    }

    /// Where a canary is from that was found among bytes: one of them may look like a letter of it.
    pub(super) fn place_of(&self, found: &str) -> String {
        let Some(rest) = found.strip_prefix(&self.mark) else {
            return found.to_owned();
        };
        let made = self.made.lock().unwrap();
        let places = made.iter().filter(|place| rest.starts_with(*place));
        let longest = places.max_by_key(|place| place.len());
        longest.map_or(rest, String::as_str).to_owned()
    }

    /// A text in which `@place@` stands for a canary.
    pub(super) fn fill(&self, text: &str) -> String {
        let parts = text.split('@').enumerate();
        let filled = parts.map(|(number, part)| match number % 2 {
            0 => part.to_owned(),
            _ => self.at(part),
        });
        filled.collect()
    }

    /// The same in all texts of a resource.
    fn fill_json(&self, value: &Value) -> Value {
        serde_json::from_str(&self.fill(&value.to_string())).unwrap()
    }

    /// Those that are in a text.
    pub(super) fn within(&self, text: &str) -> Vec<String> {
        let found = text.split(self.mark.as_str()).skip(1);
        let names = found.map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric());
            rest[..end.unwrap_or(rest.len())].to_owned()
        });
        names.collect()
    }

    /// What the beginning of every canary looks like inside of base64, wherever it stands there.
    pub(super) fn in_base64(&self) -> Vec<String> {
        let inner = (0..3).map(|before| {
            let text = format!("{}{}", &"aaa"[..before], self.mark);
            let encoded = base64url(text);
            // Letters that hang on what is before and behind are left out.
            let (from, to) = ((before * 8).div_ceil(6), (before + self.mark.len()) * 8 / 6);
            encoded[from..to].to_owned()
        });
        inner.collect()
    }
}

/// Every kind of element that may tell of a person; one patient, and what belongs to it.
fn resources(canaries: &Canaries) -> Vec<Value> {
    let data = base64url(canaries.at("attachmentdata"));
    let patient = json!({
        "resourceType": "Patient", "id": "@patientid@",
        "meta": { "tag": [{ "system": "urn:@tagsystem@", "code": "@tagcode@", "display": "@tag@" }] },
        "text": { "status": "generated",
            "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">@narrative@</div>" },
        "contained": [{ "resourceType": "Organization", "id": "@containedid@",
            "name": "@containedname@" }],
        "extension": [{ "url": "urn:@extensionurl@", "valueString": "@extension@" }],
        "identifier": [{ "system": "urn:@idsystem@", "value": "@identifier@" }],
        "name": [{ "family": "@family@", "given": ["@given@"], "text": "@nametext@" }],
        "telecom": [{ "system": "email", "value": "@telecom@" }],
        "address": [{ "line": ["@line@"], "city": "@city@", "postalCode": "@postalcode@" }],
        "contact": [{ "name": { "family": "@contact@" } }],
        "photo": [{ "contentType": "image/png", "title": "@phototitle@", "data": data }],
        "managingOrganization": { "reference": "#@containedid@", "display": "@display@" },
    });
    let subject = json!({ "reference": "Patient/@patientid@", "display": "@subject@" });
    let observation = json!({
        "resourceType": "Observation", "id": "@observationid@", "status": "final",
        "code": { "text": "@code@" }, "subject": subject, "valueString": "@value@",
        "performer": [{ "identifier": { "value": "@performer@" } }],
        "note": [{ "text": "@note@" }],
        "component": [{ "code": { "text": "@component@" }, "valueString": "@componentvalue@" }],
    });
    let document = json!({
        "resourceType": "DocumentReference", "id": "@documentid@", "status": "current",
        "subject": subject, "description": "@description@",
        "content": [{ "attachment": { "title": "@title@", "url": "urn:@url@", "data": data } }],
    });
    let practitioner = json!({
        "resourceType": "Practitioner", "id": "@practitionerid@",
        "name": [{ "family": "@practitioner@" }],
    });
    let group = json!({
        "resourceType": "Group", "id": "@groupid@", "type": "person", "actual": true,
        "name": "@groupname@", "identifier": [{ "value": "@groupidentifier@" }],
        "member": [{ "entity": { "reference": "Patient/@patientid@", "display": "@member@" } }],
    });
    let all = [patient, observation, document, practitioner, group];
    all.iter().map(|one| canaries.fill_json(one)).collect()
}

/// Lines that are none: what a lenient source leaves out.
const BROKEN: &[&str] = &[
    r#"{"resourceType":"Patient","id":"@badid@_!"}"#,
    r#"{"resourceType":"@badtype@","id":"x1"}"#,
    r#"{"resourceType":"Patient","id":"x2","meta":{"lastUpdated":"@badtime@"}}"#,
    r#"{"resourceType":"Patient","id":"x3","name":[{"family":"@cutoff@"#,
    r#"{"resourceType":"Patient","id":"x4","name":@syntax@}"#,
    r#"["@list@"]"#,
    r#"{"resourceType":"Binary","id":"@binaryid@","data":"QUFB"}"#,
    r#"{"resourceType":"Group","id":"x5","type":"person","actual":true,"member":"@badmember@"}"#,
    r#"{"resourceType":"Patient","id":"x6","gender":"male"}"#,
    r#"{"resourceType":"Patient","id":"x6","birthDate":"@older@"}"#,
    r#"{"resourceType":"Parameters","id":"@containerid@"}"#,
];

/// Writes a file of the resources; says what is in it.
pub(super) fn write_good(canaries: &Canaries, folder: &Path) -> Vec<String> {
    let lines = resources(canaries).into_iter();
    let text: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
    let text = text.concat();
    fs::write(folder.join("planted.ndjson"), &text).unwrap();
    let mut found = canaries.within(&text);
    found.sort_unstable();
    found.dedup();
    found
}

/// Writes a file of which nearly nothing can be used.
pub(super) fn write_broken(canaries: &Canaries, folder: &Path) {
    let lines = BROKEN.iter().map(|line| canaries.fill(line) + "\n");
    fs::write(folder.join("broken.ndjson"), lines.collect::<String>()).unwrap();
}
