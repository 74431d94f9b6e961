//! Group: the populations that exports are asked for.

use crate::dice::{Dice, Realm};
use crate::error::SampleError;
use crate::family::{is_diabetic, payer};
use crate::identity::patient_ref;
use crate::json::Json;
use crate::kind::Kind;
use crate::moment::{Day, TODAY};
use crate::pool::PAYERS;
use crate::scribe::{Scribe, narrative};
use crate::summary::SampleOptions;

/// A group holds no more members than this, however many patients there are: it is one line.
const MOST_MEMBERS: usize = 10_000;

/// Who is in a group.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Everybody,
    Diabetic,
    InsuredBy(usize),
    EveryTenth,
}

/// A population.
#[derive(Debug)]
struct Population {
    id: &'static str,
    name: &'static str,
    active: bool,
    rule: Rule,
}

static POPULATIONS: [Population; 6] = [
    Population {
        id: "all-patients",
        name: "All patients",
        active: true,
        rule: Rule::Everybody,
    },
    Population {
        id: "diabetes-registry",
        name: "Diabetes registry",
        active: true,
        rule: Rule::Diabetic,
    },
    insured(0, "Members of Evergreen Health Plan"),
    insured(1, "Members of Harbor Mutual"),
    insured(2, "Members of Summit Care"),
    Population {
        id: "retired-cohort",
        name: "Cohort of a study that has ended",
        active: false,
        rule: Rule::EveryTenth,
    },
];

const fn insured(by: usize, name: &'static str) -> Population {
    Population {
        id: PAYERS[by].group,
        name,
        active: true,
        rule: Rule::InsuredBy(by),
    }
}

impl Rule {
    fn takes(self, seed: u64, n: u32) -> bool {
        match self {
            Self::Everybody => true,
            Self::Diabetic => is_diabetic(seed, n),
            Self::InsuredBy(number) => payer(seed, n) == number,
            Self::EveryTenth => n % 10 == 3,
        }
    }

    /// Whether members come and go, and so have dates.
    const fn is_dated(self) -> bool {
        !matches!(self, Self::Everybody)
    }
}

/// Writes all groups.
pub(crate) fn write(options: &SampleOptions, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
    for (number, population) in (1..).zip(&POPULATIONS) {
        write_one(options, scribe, (number, population))?;
    }
    Ok(())
}

fn write_one(
    options: &SampleOptions,
    scribe: &mut Scribe<'_>,
    (number, population): (u64, &Population),
) -> Result<(), SampleError> {
    let seed = options.seed;
    let rule = population.rule;
    let members = || {
        (0..options.patients)
            .filter(|n| rule.takes(seed, *n))
            .take(MOST_MEMBERS)
    };
    scribe.line(Kind::Group, &population.id, |json| {
        json.object("meta", |json| {
            json.text("versionId", "1");
            json.text("lastUpdated", &TODAY.at_minute(6 * 60).utc(0));
        });
        narrative(json, &population.name);
        json.list("identifier", |json| {
            json.identifier("https://sluice.example/groups", &population.id);
        });
        json.bare("active", &population.active);
        json.text("type", "person");
        json.bare("actual", &true);
        json.text("name", population.name);
        json.bare("quantity", &members().count());
        if let Rule::InsuredBy(payer) = rule {
            json.reference_to(
                "managingEntity",
                PAYERS[payer].who(seed),
                &PAYERS[payer].name,
            );
        }
        let mut members = members().peekable();
        if members.peek().is_some() {
            json.list("member", |json| {
                members.for_each(|n| json.item(|json| member(json, (seed, n), (number, rule))));
            });
        }
    })
}

/// A member: mostly current, some no longer by their flag, some by their dates.
fn member(json: &mut Json, (seed, n): (u64, u32), (number, rule): (u64, Rule)) {
    let mut dice = Dice::of(seed, Realm::Membership, (number << 40) + u64::from(n));
    json.reference("entity", patient_ref(seed, n));
    if !rule.is_dated() {
        return;
    }
    let start = Day::of(2017, 1, 1).plus(dice.between(0, 2000));
    let end = match dice.below(100) {
        ..6 => Some(start.plus(dice.between(90, 1000))),
        6..9 => Some(Day::of(2035, 12, 31)),
        _ => None,
    };
    json.object("period", |json| {
        json.text("start", &start);
        if let Some(end) = end {
            json.text("end", &end);
        }
    });
    json.bare("inactive", &dice.chance(40));
}
