//! Days and moments of the sample's calendar, and how FHIR writes them.

use std::fmt;

/// Seconds between UTC and the local time that the sample's clinics keep.
const OFFSET: i64 = 5 * 3600;

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i64);

/// The last day of the sample. Nothing is dated later, whenever it is made.
pub(crate) const TODAY: Day = Day::of(2025, 12, 31);

impl Day {
    /// The day of a date of the Gregorian calendar.
    pub(crate) const fn of(year: i64, month: i64, day: i64) -> Self {
        let year = if month > 2 { year } else { year - 1 };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self(era * 146_097 + day_of_era - 719_468)
    }

    /// Year, month and day.
    pub(crate) const fn date(self) -> (i64, i64, i64) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + (month <= 2) as i64, month, day)
    }

    /// Its year.
    pub(crate) const fn year(self) -> i64 {
        self.date().0
    }

    /// So many days later.
    pub(crate) const fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// So many minutes after local midnight.
    pub(crate) const fn at_minute(self, minutes: i64) -> Moment {
        Moment(self.0 * 86_400 + minutes * 60 + OFFSET)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A moment, in seconds from 1970-01-01T00:00:00Z; written in local time with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    /// The local day it falls on.
    pub(crate) const fn day(self) -> Day {
        Day((self.0 - OFFSET).div_euclid(86_400))
    }

    /// So many minutes later.
    pub(crate) const fn plus_minutes(self, minutes: i64) -> Self {
        Self(self.0 + minutes * 60)
    }

    /// So many seconds later.
    pub(crate) const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0 + seconds)
    }

    /// Itself, or the end of the sample's last day if that comes first.
    pub(crate) fn not_after_today(self) -> Self {
        self.min(TODAY.at_minute(18 * 60))
    }

    /// As an instant of UTC with the given milliseconds.
    pub(crate) const fn utc(self, millis: u64) -> Utc {
        Utc {
            moment: self,
            millis,
        }
    }
}

fn write_seconds(f: &mut fmt::Formatter<'_>, seconds: i64) -> fmt::Result {
    let (day, rest) = (Day(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
    write!(
        f,
        "{day}T{:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0 - OFFSET)?;
        f.write_str("-05:00")
    }
}

/// A moment written as an instant of UTC, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Utc {
    moment: Moment,
    millis: u64,
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.moment.0)?;
        write!(f, ".{:03}Z", self.millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        assert_eq!(Day::of(1970, 1, 1), Day(0));
        assert_eq!(Day::of(2000, 2, 29).to_string(), "2000-02-29");
        assert_eq!(Day::of(2000, 2, 29).plus(1).to_string(), "2000-03-01");
        for number in (-40_000..40_000).step_by(17) {
            let (year, month, day) = Day(number).date();
            assert_eq!(Day::of(year, month, day), Day(number));
        }
    }

    #[test]
    fn moments_are_written_in_both_zones() {
        let evening = Day::of(2024, 12, 31).at_minute(20 * 60 + 5).plus_seconds(7);
        assert_eq!(evening.to_string(), "2024-12-31T20:05:07-05:00");
        assert_eq!(evening.utc(42).to_string(), "2025-01-01T01:05:07.042Z");
        assert_eq!(evening.day(), Day::of(2024, 12, 31));
    }
}
