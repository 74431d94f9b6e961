//! The people who work at a clinic: a Practitioner and a `PractitionerRole` each.

use std::fmt;

use super::{Clinic, STAFF, Standing};
use crate::code::{Code, code};
use crate::dice::{Dice, Realm};
use crate::error::SampleError;
use crate::identity::{Id, Ref};
use crate::json::Json;
use crate::kind::Kind;
use crate::moment::{Day, Moment};
use crate::person::{Home, Name};
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

const TAXONOMY: &str = "http://nucc.org/provider-taxonomy";

/// What a clinician does there, by the taxonomy of NUCC.
static SPECIALTIES: [Code; 5] = [
    code(TAXONOMY, "207Q00000X", "Family Medicine Physician"),
    code(TAXONOMY, "207R00000X", "Internal Medicine Physician"),
    code(TAXONOMY, "208000000X", "Pediatrics Physician"),
    code(TAXONOMY, "363LF0000X", "Family Nurse Practitioner"),
    code(TAXONOMY, "363A00000X", "Physician Assistant"),
];

/// Somebody who treats patients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clinician {
    seed: u64,
    number: u32,
    standing: Standing,
    name: Name,
    female: bool,
}

impl Clinician {
    /// One of the staff of a clinic.
    pub(crate) fn at(seed: u64, clinic: Clinic, dice: &mut Dice) -> Self {
        Self::of(
            seed,
            clinic.number() * STAFF + dice.below(STAFF),
            Standing::Regular,
        )
    }

    /// The clinician of a number.
    pub(super) fn of(seed: u64, number: u32, standing: Standing) -> Self {
        let mut dice = Self::dice(seed, number, standing);
        let female = dice.chance(550);
        Self {
            seed,
            number,
            standing,
            name: Name::draw(&mut dice, female),
            female,
        }
    }

    fn dice(seed: u64, number: u32, standing: Standing) -> Dice {
        // Clinics draw from the same realm, below this number.
        Dice::of(
            seed,
            Realm::Pool,
            (1 << 40) + u64::from(number) * 4 + standing as u64,
        )
    }

    /// The reference to the person.
    pub(crate) const fn who(&self) -> Ref {
        self.part(Kind::Practitioner)
    }

    const fn part(&self, kind: Kind) -> Ref {
        let id = Id::of(self.seed, kind, self.number as u64, self.standing as u64);
        Ref { kind, id }
    }

    fn updated(&self) -> Moment {
        let mut dice = Self::dice(self.seed, self.number, self.standing);
        Day::of(2016, 1, 1)
            .plus(dice.between(0, 3285))
            .at_minute(10 * 60)
    }

    /// A national provider identifier with the check digit that the scheme asks for.
    fn npi(&self) -> u64 {
        let stem = 120_000_000 + (u64::from(self.number) * 4 + self.standing as u64) % 79_999_999;
        let mut sum = 24; // What the prefix 80840 adds to the sum of Luhn.
        let mut rest = stem;
        let mut doubled = true;
        while rest > 0 {
            let digit = rest % 10 * if doubled { 2 } else { 1 };
            sum += digit / 10 + digit % 10;
            rest /= 10;
            doubled = !doubled;
        }
        stem * 10 + (10 - sum % 10) % 10
    }

    /// Writes the person.
    pub(super) fn write(&self, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
        let head = Head {
            what: self.who(),
            profile: us_core!("practitioner"),
            updated: self.updated(),
            narrative: Some(self),
        };
        scribe.resource(&head, |json| {
            json.list("identifier", |json| {
                json.identifier("http://hl7.org/fhir/sid/us-npi", &self.npi());
            });
            json.bare("active", &true);
            json.single("name", |json| {
                json.text("use", "official");
                json.text("family", self.name.family);
                json.text_list("given", self.name.given);
                json.text_list("prefix", "Dr.");
            });
            json.list("telecom", |json| self.mail(json));
            let mut dice = Self::dice(self.seed, self.number, self.standing);
            json.list("address", |json| {
                json.item(|json| Home::draw(&mut dice).write(json, "work"));
            });
            json.text("gender", if self.female { "female" } else { "male" });
        })
    }

    /// Writes what the person does at their clinic.
    pub(super) fn write_role(&self, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
        let clinic = Clinic::of(self.seed, self.number / STAFF);
        let specialty = &SPECIALTIES[self.number as usize % SPECIALTIES.len()];
        let head = Head {
            what: self.part(Kind::PractitionerRole),
            profile: us_core!("practitionerrole"),
            updated: self.updated(),
            narrative: Some(&format_args!("{self}, {} at {clinic}", specialty.display)),
        };
        scribe.resource(&head, |json| {
            json.bare("active", &true);
            json.reference_to("practitioner", self.who(), self);
            json.reference_to("organization", clinic.organization(), &clinic);
            json.concepts("code", specialty);
            json.concepts("specialty", specialty);
            json.list("location", |json| json.reference_item(clinic.location()));
            json.list("telecom", |json| self.mail(json));
        })
    }

    fn mail(&self, json: &mut Json) {
        let Name { given, family } = self.name;
        let address = format_args!("{given}.{family}.{}@clinic.example", self.number);
        json.contact_point("email", "work", &address);
    }
}

impl fmt::Display for Clinician {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dr. {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_identifiers_pass_the_check_of_luhn() {
        for number in 0..50 {
            let npi = Clinician::of(1, number, Standing::Regular).npi();
            let digits = format!("80840{npi}");
            assert_eq!(digits.len(), 15);
            let sum: u32 = (digits.bytes().rev().enumerate())
                .map(|(at, byte)| u32::from(byte - b'0') * if at % 2 == 1 { 2 } else { 1 })
                .map(|digit| digit / 10 + digit % 10)
                .sum();
            assert_eq!(sum % 10, 0, "{npi}");
        }
    }
}
