//! A `DocumentReference` of any size, for trying what large resources do.

use std::fmt;

use crate::base64::group;
use crate::code::loinc;
use crate::json::Json;
use crate::moment::Day;
use crate::profile::us_core;
use crate::scribe::narrative;

/// What the attachment says, over and over. Its 48 bytes are 64 digits of base64.
const SENTENCE: &[u8; 48] = b"The patient was seen, and everything was noted.\n";

/// One line, without its end, of about so many bytes: a `DocumentReference` of the patient with a
/// text inside. What is needed around the text is the least that it can be.
pub fn large_document(patient_id: &str, id: &str, bytes: usize) -> Vec<u8> {
    let mut json = Json::default();
    write(&mut json, (patient_id, id), 0);
    let around = json.as_bytes().len();
    json.reserve(bytes);
    write(
        &mut json,
        (patient_id, id),
        bytes.saturating_sub(around) / 4,
    );
    json.into_bytes()
}

fn write(json: &mut Json, (patient_id, id): (&str, &str), groups: usize) {
    let when = Day::of(2025, 6, 16).at_minute(11 * 60);
    json.restart(|json| {
        json.text("resourceType", "DocumentReference");
        json.text("id", id);
        json.object("meta", |json| {
            json.text("lastUpdated", &when.utc(0));
            json.text_list("profile", us_core!("documentreference"));
        });
        narrative(json, &"A long document");
        json.text("status", "current");
        json.concept("type", &loinc("11506-3", "Progress note"));
        let subject = format_args!("Patient/{patient_id}");
        json.object("subject", |json| json.text("reference", &subject));
        json.text("date", &when.utc(0));
        json.single("content", |json| {
            json.object("attachment", |json| {
                json.text("contentType", "text/plain; charset=utf-8");
                json.text("data", &Filler { groups });
                json.bare("size", &(groups * 3));
            });
        });
    });
}

/// The sentence over and over as base64, in so many groups of four digits.
struct Filler {
    groups: usize,
}

impl fmt::Display for Filler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut block = [0; 64 * 16];
        for (digits, three) in block.chunks_mut(4).zip(SENTENCE.chunks(3).cycle()) {
            digits.copy_from_slice(&group(three));
        }
        let block = std::str::from_utf8(&block).unwrap_or_default();
        let mut left = self.groups * 4;
        while left > 0 {
            let part = left.min(block.len());
            f.write_str(&block[..part])?;
            left -= part;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_about_the_length_asked_for() {
        for bytes in [2_000, 100_001, 3_000_000] {
            let line = large_document("p1", "big-1", bytes);
            assert!(
                line.len().abs_diff(bytes) < 16,
                "{} for {bytes}",
                line.len()
            );
            assert!(!line.contains(&b'\n'));
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["resourceType"], "DocumentReference");
            assert_eq!(value["id"], "big-1");
            assert_eq!(value["subject"]["reference"], "Patient/p1");
            let attachment = &value["content"][0]["attachment"];
            let digits = attachment["data"].as_str().unwrap();
            assert!(
                digits.starts_with("VGhlIHBhdGllbnQgd2FzIHNlZW4"),
                "{}",
                &digits[..40]
            );
            assert_eq!(attachment["size"], digits.len() / 4 * 3);
        }
    }

    #[test]
    fn a_document_that_cannot_be_so_small_is_as_small_as_it_can_be() {
        let line = large_document("p1", "x", 10);
        assert!(line.len() < 900);
        assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok());
    }
}
