//! Writes the line of a made-up patient or Observation, computed from its numbers alone.
//!
//! Every line has exactly the length asked for: what is filled up is the last thing written.

use sluice_fhir::Instant;

/// When everything was last changed: 2020-01-01, so that any snapshot is later.
pub(super) const UPDATED: Instant = Instant::from_millis(1_577_836_800_000);
/// The same as FHIR writes it.
pub(super) const META: &str = r#""meta":{"lastUpdated":"2020-01-01T00:00:00.000Z"},"#;

/// Bytes of a patient's id.
pub(super) const ID_LEN: usize = 9;

const FAMILIES: [&str; 8] = [
    "Abbot", "Baker", "Carter", "Dyer", "Fisher", "Mason", "Tanner", "Weaver",
];
const GIVEN: [&str; 8] = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gwen", "Hugo"];
const FILLER: &str = "made-up-for-load-tests-nobody-ever-had-this-name-nor-was-any-of-it-measured-\
    the-quick-brown-fox-jumps-over-the-lazy-dog-while-five-boxing-wizards-jump-quickly-";

/// Appends the id of a patient: of one width, so that ids sort as their numbers do.
pub(super) fn patient_id(out: &mut Vec<u8>, number: u32) {
    out.push(b'p');
    digits(out, number, 8);
}

/// The number in an id that [`patient_id`] could have written.
pub(super) fn patient_number(id: &str) -> Option<u32> {
    let digits = id.strip_prefix('p')?;
    let is_number = digits.len() + 1 == ID_LEN && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Appends a Patient in so many bytes.
pub(super) fn patient(out: &mut Vec<u8>, number: u32, bytes: usize) {
    let start = out.len();
    text(out, r#"{"resourceType":"Patient","id":""#);
    patient_id(out, number);
    text(out, "\",");
    text(out, META);
    text(out, r#""name":[{"family":""#);
    text(out, pick(FAMILIES, number / 8));
    text(out, r#"","given":[""#);
    text(out, pick(GIVEN, number));
    text(out, r#""]}],"gender":""#);
    text(out, pick(["female", "male", "other"], number));
    text(out, r#"","birthDate":""#);
    digits(out, 1930 + number % 89, 4);
    out.push(b'-');
    digits(out, 1 + number % 12, 2);
    out.push(b'-');
    digits(out, 1 + number % 28, 2);
    let div =
        r#"","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">"#;
    text(out, div);
    fill_up(out, (start, bytes), number, "</div>\"}}\n");
}

/// Appends an Observation of a patient in so many bytes. Those of a patient count from 1.
pub(super) fn observation(out: &mut Vec<u8>, patient: u32, number: u32, bytes: usize) {
    let start = out.len();
    text(out, r#"{"resourceType":"Observation","id":""#);
    patient_id(out, patient);
    out.push(b'-');
    digits(out, number, 4);
    text(out, "\",");
    text(out, META);
    text(
        out,
        r#""status":"final","code":{"coding":[{"system":"http://loinc.org","#,
    );
    text(
        out,
        r#""code":"8867-4"}],"text":"Heart rate"},"subject":{"reference":"Patient/"#,
    );
    patient_id(out, patient);
    text(out, r#""},"effectiveDateTime":"2019-"#);
    digits(out, 1 + number % 12, 2);
    out.push(b'-');
    digits(out, 1 + patient % 28, 2);
    text(out, r#"","valueQuantity":{"value":"#);
    digits(out, 50 + (patient + number) % 50, 2);
    text(
        out,
        r#","system":"http://unitsofmeasure.org","code":"/min"},"note":[{"text":""#,
    );
    fill_up(out, (start, bytes), patient + number, "\"}]}\n");
}

/// Appends a number in so many digits.
fn digits(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let from = out.len();
    out.resize(from + width, b'0');
    for digit in out[from..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn pick<const N: usize>(list: [&'static str; N], number: u32) -> &'static str {
    usize::try_from(number).map_or("", |number| list[number % N])
}

/// Appends as much text as leaves room for the tail, and the tail. It starts elsewhere for each
/// number, or lines would be more alike than even made-up ones should be.
fn fill_up(out: &mut Vec<u8>, (start, bytes): (usize, usize), number: u32, tail: &str) {
    let end = (start + bytes).saturating_sub(tail.len());
    let shift = usize::try_from(number).unwrap_or(0) % FILLER.len();
    let mut filler = &FILLER.as_bytes()[shift..];
    while out.len() < end {
        let length = filler.len().min(end - out.len());
        out.extend_from_slice(&filler[..length]);
        filler = FILLER.as_bytes();
    }
    text(out, tail);
}

#[cfg(test)]
mod tests {
    use super::super::options::{BLOCK, FEWEST_BYTES};
    use super::*;

    fn line(bytes: u64, write: impl Fn(&mut Vec<u8>, usize)) -> serde_json::Value {
        let bytes = usize::try_from(bytes).unwrap();
        let mut out = b"before".to_vec();
        write(&mut out, bytes);
        let line = &out[6..];
        assert_eq!(line.len(), bytes);
        assert!(line.ends_with(b"}\n"));
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn lines_are_json_of_exactly_that_length() {
        for bytes in [FEWEST_BYTES, 400, 1000, BLOCK] {
            for number in (1..300).chain([99_999_999]) {
                let patient = line(bytes, |out, bytes| patient(out, number, bytes));
                assert_eq!(patient["id"], format!("p{number:08}"));
                assert!(!patient["text"]["div"].as_str().unwrap().contains("><"));
                let observation = line(bytes, |out, bytes| observation(out, number, 9_999, bytes));
                assert_eq!(observation["id"], format!("p{number:08}-9999"));
                assert_eq!(
                    observation["subject"]["reference"],
                    format!("Patient/p{number:08}")
                );
                assert_ne!(observation["note"][0]["text"], "");
                if bytes == BLOCK {
                    break;
                }
            }
        }
    }

    #[test]
    fn the_time_is_the_one_that_is_written() {
        assert!(META.contains(&UPDATED.to_string()));
    }

    #[test]
    fn ids_read_back_and_others_do_not() {
        for number in [0, 1, 12_345_678] {
            let mut id = Vec::new();
            patient_id(&mut id, number);
            assert_eq!(id.len(), ID_LEN);
            assert_eq!(
                patient_number(std::str::from_utf8(&id).unwrap()),
                Some(number)
            );
        }
        for id in [
            "",
            "p1",
            "p+0000001",
            "p000000001",
            "q00000001",
            "p0000000é",
        ] {
            assert_eq!(patient_number(id), None, "{id}");
        }
    }
}
