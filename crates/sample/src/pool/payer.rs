//! Payers: an Organization each.

use super::Standing;
use crate::error::SampleError;
use crate::identity::{Id, Ref};
use crate::kind::Kind;
use crate::moment::Day;
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// Somebody who insures patients.
#[derive(Debug)]
pub(crate) struct Payer {
    /// Its place among the payers.
    number: u64,
    /// What it is called.
    pub(crate) name: &'static str,
    /// The group of those it insures.
    pub(crate) group: &'static str,
    /// What its plan is called.
    pub(crate) plan: &'static str,
}

/// The payers.
pub(crate) static PAYERS: [Payer; 3] = [
    Payer {
        number: 0,
        name: "Evergreen Health Plan",
        group: "payer-evergreen",
        plan: "Evergreen Select PPO",
    },
    Payer {
        number: 1,
        name: "Harbor Mutual",
        group: "payer-harbor",
        plan: "Harbor Family HMO",
    },
    Payer {
        number: 2,
        name: "Summit Care",
        group: "payer-summit",
        plan: "Summit Advantage",
    },
];

impl Payer {
    /// The reference to it.
    pub(crate) const fn who(&self, seed: u64) -> Ref {
        let id = Id::of(
            seed,
            Kind::Organization,
            self.number,
            Standing::Paying as u64,
        );
        Ref {
            kind: Kind::Organization,
            id,
        }
    }

    pub(super) fn write(&self, seed: u64, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
        let head = Head {
            what: self.who(seed),
            profile: us_core!("organization"),
            updated: Day::of(2018, 1, 2).at_minute(8 * 60),
            narrative: Some(&self.name),
        };
        scribe.resource(&head, |json| {
            json.list("identifier", |json| {
                json.identifier("https://sluice.example/payers", &self.group);
            });
            json.bare("active", &true);
            json.single("type", |json| {
                json.single("coding", |json| {
                    json.text(
                        "system",
                        "http://terminology.hl7.org/CodeSystem/organization-type",
                    );
                    json.text("code", "ins");
                    json.text("display", "Insurance Company");
                });
                json.text("text", "Insurance Company");
            });
            json.text("name", self.name);
            json.list("telecom", |json| {
                let number = 100 + self.number;
                json.contact_point("phone", "work", &format_args!("+1-800-555-0{number}"));
            });
        })
    }
}
