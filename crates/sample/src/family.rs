//! Who was born when, and who belongs to whom: what can be known of a patient at little cost.
//!
//! A patient's kin always have lower numbers, so they exist in every data set that holds the
//! patient.

use crate::dice::{Dice, Realm};
use crate::moment::{Day, TODAY};

/// When and as what somebody was born.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    /// The day.
    pub(crate) day: Day,
    /// Whether as a girl.
    pub(crate) female: bool,
}

impl Birth {
    /// The birth of the n-th patient.
    pub(crate) fn of(seed: u64, n: u32) -> Self {
        let mut dice = Dice::of(seed, Realm::Birth, u64::from(n));
        let female = dice.chance(510);
        // Fewer very old people than young ones: the lesser of two draws above sixty.
        let years = dice.between(1, 94);
        let years = if years > 60 {
            years.min(dice.between(40, 94))
        } else {
            years
        };
        Self {
            day: TODAY.plus(-365 * years - dice.between(0, 364)),
            female,
        }
    }

    /// Completed years on a day.
    pub(crate) const fn age_on(self, day: Day) -> i64 {
        let ((year, month, date), (born, born_month, born_date)) = (day.date(), self.day.date());
        let before = month < born_month || (month == born_month && date < born_date);
        year - born - before as i64
    }

    /// Completed years at the end of the sample.
    pub(crate) const fn age(self) -> i64 {
        self.age_on(TODAY)
    }
}

/// The parent through whom a young patient is insured, for those who have one.
pub(crate) fn parent(seed: u64, n: u32) -> Option<u32> {
    let child = Birth::of(seed, n);
    if child.age() >= 22 {
        return None;
    }
    let fits = |other: &u32| (20..45).contains(&(Birth::of(seed, *other).age() - child.age()));
    // A parent is 22 or older and so has no parent here: surnames need no long chains.
    (n.saturating_sub(12)..n)
        .rev()
        .filter(|other| Birth::of(seed, *other).age() >= 22)
        .find(fits)
}

/// Somebody close: the parent, or else a patient of a lower number.
pub(crate) fn companion(seed: u64, n: u32) -> Option<u32> {
    let near = |n: u32| n.checked_sub(1 + n.min(7) / 2);
    parent(seed, n).or_else(|| near(n))
}

/// Whether the patient has diabetes, and so is in the registry.
pub(crate) fn is_diabetic(seed: u64, n: u32) -> bool {
    let per_mille = match Birth::of(seed, n).age() {
        // Nobody is born with type 2; and it must have had time to be noticed.
        ..22 => 0,
        22..30 => 10,
        30..50 => 80,
        50..65 => 170,
        _ => 260,
    };
    Dice::of(seed, Realm::Illness, u64::from(n)).chance(per_mille)
}

/// Which of the payers insures the patient; children follow the parent.
pub(crate) fn payer(seed: u64, n: u32) -> usize {
    let insured = parent(seed, n).unwrap_or(n);
    match Dice::of(seed, Realm::Membership, u64::from(insured)).below(100) {
        ..45 => 0,
        45..80 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kin_have_lower_numbers_and_parents_are_older() {
        let mut parents = 0;
        for n in 0..500 {
            assert!(companion(3, n).is_none_or(|other| other < n));
            if let Some(other) = parent(3, n) {
                assert!(other < n);
                assert!(Birth::of(3, other).age() >= Birth::of(3, n).age() + 20);
                parents += 1;
            }
        }
        assert!(parents > 50, "{parents}");
        assert_eq!(companion(3, 0), None);
        assert!(companion(3, 1).is_some());
    }
}
