//! Who a patient is: name, home, payer and the clinic that looks after them.

use std::fmt;

use crate::catalog::names::{FAMILY, FEMALE, MALE};
use crate::catalog::places::{CITIES, City, STREETS};
use crate::dice::{Dice, Realm};
use crate::family::{Birth, parent, payer};
use crate::identity::{Ref, patient_ref};
use crate::moment::{Day, Moment, TODAY};

/// A given and a family name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// First name.
    pub(crate) given: &'static str,
    /// Surname.
    pub(crate) family: &'static str,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.given, self.family)
    }
}

impl Name {
    /// A name drawn for a woman or a man.
    pub(crate) fn draw(dice: &mut Dice, female: bool) -> Self {
        let given = *dice.pick(if female { &FEMALE } else { &MALE });
        Self {
            given,
            family: *dice.pick(&FAMILY),
        }
    }
}

/// Where somebody lives or works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    /// House number.
    pub(crate) house: u32,
    /// Street.
    pub(crate) street: &'static str,
    /// Town, with its ZIP code.
    pub(crate) city: &'static City,
}

impl Home {
    /// An address drawn from the catalogue.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let house = 1 + dice.below(1200);
        Self {
            house,
            street: *dice.pick(&STREETS),
            city: dice.pick(&CITIES),
        }
    }
}

/// A patient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// The seed of the data set.
    pub(crate) seed: u64,
    /// The number of the patient.
    pub(crate) n: u32,
    /// The reference to the Patient resource.
    pub(crate) me: Ref,
    /// When and as what they were born.
    pub(crate) birth: Birth,
    /// When they died, if they did.
    pub(crate) death: Option<Moment>,
    /// What they are called.
    pub(crate) name: Name,
    /// A second given name.
    pub(crate) middle: &'static str,
    /// Where they live.
    pub(crate) home: Home,
    /// The last four digits of the telephone number.
    pub(crate) phone: u32,
    /// The parent who insures them.
    pub(crate) parent: Option<u32>,
    /// Which payer insures them.
    pub(crate) payer: usize,
    /// An answer to any question about background: the same number, the same answer.
    pub(crate) trait_draw: u32,
}

impl Person {
    /// The n-th patient.
    pub(crate) fn of(seed: u64, n: u32) -> Self {
        let birth = Birth::of(seed, n);
        let parent = parent(seed, n);
        let mut dice = Dice::of(seed, Realm::Person, u64::from(n));
        let mut name = Name::draw(&mut dice, birth.female);
        let middle = *dice.pick(if birth.female { &FEMALE } else { &MALE });
        let mut home = Home::draw(&mut dice);
        if let Some(parent) = parent {
            // Children share the name and the address of the parent.
            let mut dice = Dice::of(seed, Realm::Person, u64::from(parent));
            name.family = Name::draw(&mut dice, true).family;
            let _middle = dice.pick(&MALE);
            home = Home::draw(&mut dice);
        }
        let died = birth.age() >= 70 && dice.chance(180);
        let death = died.then(|| {
            TODAY
                .plus(-dice.between(30, 1400))
                .at_minute(dice.between(0, 1400))
        });
        Self {
            seed,
            n,
            me: patient_ref(seed, n),
            birth,
            death,
            name,
            middle,
            home,
            phone: dice.below(10_000),
            parent,
            payer: payer(seed, n),
            trait_draw: dice.below(1_000_000),
        }
    }

    /// The last day on which something may happen to them.
    pub(crate) fn last_day(&self) -> Day {
        self.death
            .map_or(TODAY.plus(-10), |death| death.day().plus(-2))
    }

    /// Their age on a day.
    pub(crate) const fn age_on(&self, day: Day) -> i64 {
        self.birth.age_on(day)
    }

    /// Height in millimetres on a day: growth until eighteen, then constant.
    pub(crate) fn height_on(&self, day: Day) -> i64 {
        let least = if self.birth.female { 1_540 } else { 1_680 };
        let grown = least + i64::from(self.trait_draw % 190);
        let months = ((day.0 - self.birth.day.0) / 30).clamp(0, 216);
        // Half a metre at birth, fast at first, then evenly.
        let early = months.min(24) * 15;
        500 + early + (grown - 860) * (months - months.min(24)) / 192
    }

    /// Whether they are obese as adults.
    pub(crate) fn is_obese(&self) -> bool {
        self.birth.age() >= 30 && self.mass_index_at(30) >= 300
    }

    /// Weight in tenths of a kilogram on a day, before the variation of the day.
    pub(crate) fn weight_on(&self, day: Day) -> i64 {
        let height = self.height_on(day);
        self.mass_index_at(self.age_on(day)) * height * height / 1_000_000
    }

    /// Body mass index at an age, in tenths.
    fn mass_index_at(&self, age: i64) -> i64 {
        let build = i64::from(self.trait_draw / 1000 % 100);
        155 + age.clamp(0, 30) * 3 + build * age.clamp(0, 30) / 30
    }
}
