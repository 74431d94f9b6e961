//! The crate's only source of chance: `SplitMix64`, seeded by what it is about.

/// What a sequence of numbers is for, so that two uses never share one.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Realm {
    /// When and as what somebody was born.
    Birth = 1,
    /// Names, addresses and habits of a patient.
    Person,
    /// Long illnesses of a patient.
    Illness,
    /// Everything that happens to a patient.
    Chart,
    /// Clinics, payers, practitioners.
    Pool,
    /// Who belongs to which group, and since when.
    Membership,
}

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

/// The finaliser of `SplitMix64`: every bit of the input moves every bit of the output.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The increment of `SplitMix64`, the golden ratio in 64 bits.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// The stream for the n-th thing of a realm.
    pub(crate) const fn of(seed: u64, realm: Realm, n: u64) -> Self {
        let state = mix(seed.wrapping_add(STEP)) ^ mix((realm as u64).wrapping_mul(STEP));
        Self {
            state: mix(state.wrapping_add(mix(n.wrapping_add(STEP)))),
        }
    }

    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// A number from 0 to one less than the bound; 0 when the bound is 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(((self.roll() >> 32) * u64::from(bound)) >> 32).unwrap_or(0)
    }

    /// A number between the two, both included. The span must fit 32 bits.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u32::try_from(high - low + 1).unwrap_or(1);
        low + i64::from(self.below(span))
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille
    }

    /// One of the slice, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let bound = u32::try_from(from.len()).unwrap_or(u32::MAX);
        &from[self.below(bound) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let three = |seed, n| {
            let mut dice = Dice::of(seed, Realm::Chart, n);
            [dice.below(1000), dice.below(1000), dice.below(1000)]
        };
        assert_eq!(three(1, 2), three(1, 2));
        assert_ne!(three(1, 2), three(1, 3));
        assert_ne!(three(1, 2), three(2, 2));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut dice = Dice::of(7, Realm::Pool, 0);
        for _ in 0..1000 {
            assert!((-3..=4).contains(&dice.between(-3, 4)));
            assert!(dice.below(5) < 5);
        }
        assert_eq!(dice.below(0), 0);
    }
}
