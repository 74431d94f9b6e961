//! A patient being written: who it is, the dice of the chart, and the ids given out so far.

use crate::dice::{Dice, Realm};
use crate::family::companion;
use crate::identity::{Id, Ref, patient_ref};
use crate::kind::Kind;
use crate::moment::Moment;
use crate::person::Person;

/// A patient being written.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Who it is.
    pub(crate) person: Person,
    /// What decides about everything that happens to them.
    pub(crate) dice: Dice,
    /// Another patient whom some of the resources concern too.
    pub(crate) companion: Option<Ref>,
    /// What was given an id since this was last cleared.
    pub(crate) fresh: Vec<Ref>,
    given_out: [u64; Kind::COUNT],
}

impl Case {
    /// The n-th patient, with nothing written yet.
    pub(crate) fn open(seed: u64, n: u32) -> Self {
        Self {
            person: Person::of(seed, n),
            dice: Dice::of(seed, Realm::Chart, u64::from(n)),
            companion: companion(seed, n).map(|other| patient_ref(seed, other)),
            fresh: Vec::new(),
            given_out: [0; Kind::COUNT],
        }
    }

    /// The reference to a further resource of theirs.
    pub(crate) fn next(&mut self, kind: Kind) -> Ref {
        let count = &mut self.given_out[kind as usize];
        *count += 1;
        let id = Id::of(self.person.seed, kind, u64::from(self.person.n), *count);
        let me = Ref { kind, id };
        self.fresh.push(me);
        me
    }

    /// The companion, so many times in a thousand.
    pub(crate) fn sometimes_companion(&mut self, per_mille: u32) -> Option<Ref> {
        if self.dice.chance(per_mille) {
            self.companion
        } else {
            None
        }
    }

    /// A moment between some minutes and some days after the given one: when it was recorded.
    pub(crate) fn recorded(&mut self, after: Moment) -> Moment {
        let minutes = if self.dice.chance(850) { 240 } else { 4 * 1440 };
        after.plus_seconds(self.dice.between(60, minutes * 60))
    }
}
