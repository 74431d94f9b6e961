//! Coverage: the insurance of a patient, now and before.

use crate::case::Case;
use crate::code::code;
use crate::error::SampleError;
use crate::identity::{Ref, patient_ref};
use crate::json::Json;
use crate::kind::Kind;
use crate::moment::{Moment, TODAY};
use crate::pool::{PAYERS, Payer};
use crate::profile::us_core;
use crate::scribe::{Head, Scribe};

/// A Coverage that was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cover {
    /// The reference to it.
    pub(crate) me: Ref,
    /// Who pays.
    pub(crate) payer: &'static Payer,
    start: Moment,
    end: Option<Moment>,
}

impl Cover {
    /// The one that holds at a moment: the first one from its start on.
    pub(crate) fn on(covers: &[Self; 2], at: Moment) -> Self {
        let [now, before] = *covers;
        if at >= now.start { now } else { before }
    }
}

/// Writes the present and the former insurance.
pub(crate) fn write(scribe: &mut Scribe<'_>, case: &mut Case) -> Result<[Cover; 2], SampleError> {
    let person = case.person;
    let years = case.dice.between(1, 6).min((person.birth.age() / 2).max(1));
    let born = person.birth.day;
    let changed = TODAY
        .plus(-365 * years - case.dice.between(0, 180))
        .max(born.plus(1));
    let now = Cover {
        me: case.next(Kind::Coverage),
        payer: &PAYERS[person.payer],
        start: changed.at_minute(0),
        end: person.death.filter(|death| *death > changed.at_minute(0)),
    };
    let other = (person.payer + 1 + case.dice.below(2) as usize) % PAYERS.len();
    let before = Cover {
        me: case.next(Kind::Coverage),
        payer: &PAYERS[other],
        start: TODAY
            .plus(-4100)
            .max(born)
            .min(changed.plus(-1))
            .at_minute(0),
        end: Some(changed.plus(-1).at_minute(23 * 60 + 59)),
    };
    for cover in [now, before] {
        write_one(scribe, case, &cover)?;
    }
    Ok([now, before])
}

fn write_one(scribe: &mut Scribe<'_>, case: &mut Case, cover: &Cover) -> Result<(), SampleError> {
    let updated = case.recorded(cover.end.unwrap_or(cover.start));
    let person = &case.person;
    let subscriber = person
        .parent
        .map_or(person.me, |parent| patient_ref(person.seed, parent));
    let head = Head {
        what: cover.me,
        profile: us_core!("coverage"),
        updated,
        narrative: Some(&format_args!("{} of {}", cover.payer.plan, person.name)),
    };
    scribe.resource(&head, |json| {
        let member = 10_000_000 + u64::from(person.n);
        json.single("identifier", |json| {
            let kinds = "http://terminology.hl7.org/CodeSystem/v2-0203";
            json.coded("type", &code(kinds, "MB", "Member Number"));
            json.text("system", "https://sluice.example/member-numbers");
            json.text("value", &format_args!("MB{member}"));
        });
        json.text(
            "status",
            if cover.end.is_none() {
                "active"
            } else {
                "cancelled"
            },
        );
        let kinds = "https://nahdo.org/sopt";
        json.coded("type", &code(kinds, "512", "Commercial Managed Care - PPO"));
        if person.parent.is_some() {
            json.reference("policyHolder", subscriber);
        }
        json.reference("subscriber", subscriber);
        json.text(
            "subscriberId",
            &format_args!(
                "MB{}",
                10_000_000 + u64::from(person.parent.unwrap_or(person.n))
            ),
        );
        json.reference_to("beneficiary", person.me, &person.name);
        relationship(json, person.parent.is_some());
        json.period("period", cover.start, cover.end);
        json.list("payor", |json| {
            json.item(|json| {
                json.text("reference", &cover.payer.who(person.seed));
                json.text("display", cover.payer.name);
            });
        });
        plan_class(json, cover.payer);
    })
}

fn relationship(json: &mut Json, is_child: bool) {
    let system = "http://terminology.hl7.org/CodeSystem/subscriber-relationship";
    let (is, words) = if is_child {
        ("child", "Child")
    } else {
        ("self", "Self")
    };
    json.coded("relationship", &code(system, is, words));
}

fn plan_class(json: &mut Json, payer: &Payer) {
    json.single("class", |json| {
        let system = "http://terminology.hl7.org/CodeSystem/coverage-class";
        json.coded("type", &code(system, "plan", "Plan"));
        json.text("value", payer.group);
        json.text("name", payer.plan);
    });
}
