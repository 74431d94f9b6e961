//! Clinics: an Organization and its Location each.

use std::fmt;

use super::Standing;
use crate::dice::{Dice, Realm};
use crate::error::SampleError;
use crate::identity::{Id, Ref};
use crate::json::Json;
use crate::kind::Kind;
use crate::moment::{Day, Moment};
use crate::person::Home;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

const SUFFIXES: [&str; 8] = [
    "General Hospital",
    "Community Health Center",
    "Family Medicine",
    "Medical Associates",
    "Internal Medicine Group",
    "Regional Medical Center",
    "Pediatrics and Primary Care",
    "Health Partners",
];

/// A clinic, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clinic {
    seed: u64,
    number: u32,
    standing: Standing,
}

impl Clinic {
    /// The clinic of a number.
    pub(crate) const fn of(seed: u64, number: u32) -> Self {
        Self {
            seed,
            number,
            standing: Standing::Regular,
        }
    }

    /// A clinic that nothing refers to.
    pub(super) const fn spare(seed: u64, number: u32) -> Self {
        Self {
            seed,
            number,
            standing: Standing::Spare,
        }
    }

    /// Its number.
    pub(crate) const fn number(self) -> u32 {
        self.number
    }

    /// The reference to it.
    pub(crate) const fn organization(self) -> Ref {
        self.part(Kind::Organization)
    }

    /// The reference to where it is.
    pub(crate) const fn location(self) -> Ref {
        self.part(Kind::Location)
    }

    const fn part(self, kind: Kind) -> Ref {
        let id = Id::of(self.seed, kind, self.number as u64, self.standing as u64);
        Ref { kind, id }
    }

    fn dice(self) -> Dice {
        let n = u64::from(self.number) * 4 + self.standing as u64;
        Dice::of(self.seed, Realm::Pool, n)
    }

    fn home(self) -> Home {
        Home::draw(&mut self.dice())
    }

    fn updated(self) -> Moment {
        Day::of(2015, 1, 1)
            .plus(self.dice().between(0, 3650))
            .at_minute(9 * 60)
    }

    /// Writes both its resources.
    pub(super) fn write(self, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
        self.write_organization(scribe)?;
        self.write_location(scribe)
    }

    fn write_organization(self, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
        let head = Head {
            what: self.organization(),
            profile: us_core!("organization"),
            updated: self.updated(),
            narrative: Some(&self),
        };
        scribe.resource(&head, |json| {
            let code = 1_000 + self.number * 4 + self.standing as u32;
            json.list("identifier", |json| {
                json.identifier(
                    "https://sluice.example/organizations",
                    &format_args!("ORG-{code}"),
                );
            });
            json.bare("active", &true);
            json.single("type", |json| {
                json.single("coding", |json| {
                    json.text(
                        "system",
                        "http://terminology.hl7.org/CodeSystem/organization-type",
                    );
                    json.text("code", "prov");
                    json.text("display", "Healthcare Provider");
                });
                json.text("text", "Healthcare Provider");
            });
            json.text("name", &self);
            json.list("telecom", |json| self.phone(json));
            json.list("address", |json| {
                json.item(|json| self.home().write(json, "work"));
            });
        })
    }

    fn write_location(self, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
        let head = Head {
            what: self.location(),
            profile: us_core!("location"),
            updated: self.updated(),
            narrative: Some(&self),
        };
        scribe.resource(&head, |json| {
            json.text("status", "active");
            json.text("name", &self);
            json.list("telecom", |json| self.phone(json));
            json.object("address", |json| self.home().write(json, "work"));
            if !matches!(self.standing, Standing::Spare) {
                json.reference_to("managingOrganization", self.organization(), &self);
            }
        })
    }

    fn phone(self, json: &mut Json) {
        let area = self.home().city.area;
        let line = 1_000 + self.number % 9_000;
        json.contact_point("phone", "work", &format_args!("+1-{area}-555-{line:04}"));
    }
}

impl fmt::Display for Clinic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = SUFFIXES[self.number as usize % SUFFIXES.len()];
        let city = self.home().city.name;
        match (self.standing, self.number / 100) {
            (Standing::Spare, _) => write!(f, "{city} {suffix} (closed)"),
            (_, 0) => write!(f, "{city} {suffix}"),
            (_, wing) => write!(f, "{city} {suffix} {}", wing + 1),
        }
    }
}
