//! Numbers with a fixed count of decimal places, as measurements have them.

use std::fmt;

/// A number in units of its last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// The number without its point.
    pub(crate) value: i64,
    /// How many digits follow the point.
    pub(crate) places: u32,
}

impl Decimal {
    /// A whole number.
    pub(crate) const fn whole(value: i64) -> Self {
        Self { value, places: 0 }
    }

    /// Dollars and cents.
    pub(crate) const fn cents(value: i64) -> Self {
        Self { value, places: 2 }
    }

    /// Tenths.
    pub(crate) const fn tenths(value: i64) -> Self {
        Self { value, places: 1 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.places == 0 {
            return write!(f, "{}", self.value);
        }
        let unit = 10_u64.pow(self.places);
        let size = self.value.unsigned_abs();
        let sign = if self.value < 0 { "-" } else { "" };
        let width = self.places as usize;
        write!(f, "{sign}{}.{:0width$}", size / unit, size % unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_places() {
        assert_eq!(Decimal::whole(-12).to_string(), "-12");
        assert_eq!(Decimal::cents(1205).to_string(), "12.05");
        assert_eq!(Decimal::tenths(-7).to_string(), "-0.7");
    }
}
