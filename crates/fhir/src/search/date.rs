//! Searches of dates: each value, asked or found, is a range as long as it is precise.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span as Step};
use serde::{Deserialize, Serialize};

use super::leaf::{self, Text, text};
use super::number::Prefix;
use super::place::Datatype;

const SECOND: i64 = 1_000_000;
/// Digits behind a second that are told apart.
const DIGITS: usize = 6;

/// From one time up to another, that one not included; in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    from: i64,
    to: i64,
}

impl Range {
    /// A year, month, day, minute, second or part of one, without a zone in UTC; `None` for anything
    /// else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let Some((date, time)) = text.split_once('T') else {
            return Self::of_date(text);
        };
        if date.len() != 10 {
            return None;
        }
        let (time, offset) = zone(time)?;
        let (time, fraction) = match time.split_once('.') {
            Some((time, fraction)) => (time, Some(fraction)),
            None => (time, None),
        };
        let length = match (time.len(), fraction) {
            (5, None) => 60 * SECOND,
            (8, None) => SECOND,
            (8, Some(digits)) if !digits.is_empty() => {
                let behind = u32::try_from(digits.len().min(DIGITS)).ok()?;
                SECOND / 10_i64.pow(behind)
            }
            _ => return None,
        };
        let seconds = if time.len() == 5 { ":00" } else { "" };
        let begin: DateTime = format!("{date}T{time}{seconds}").parse().ok()?;
        let part = match fraction {
            Some(digits) => part(digits)?,
            None => 0,
        };
        let from = micros(begin)?.checked_sub(offset)?.checked_add(part)?;
        Some(Self {
            from,
            to: from.checked_add(length)?,
        })
    }

    fn of_date(text: &str) -> Option<Self> {
        let (first, step) = match text.len() {
            4 => (format!("{text}-01-01"), Step::new().years(1)),
            7 => (format!("{text}-01"), Step::new().months(1)),
            10 => (text.to_owned(), Step::new().days(1)),
            _ => return None,
        };
        let first = Date::from_str(&first).ok()?;
        let to = first.checked_add(step).ok();
        let to = to.and_then(|date| micros(date.at(0, 0, 0, 0)));
        Some(Self {
            from: micros(first.at(0, 0, 0, 0))?,
            // The end of the last year that there is.
            to: to.unwrap_or(i64::MAX),
        })
    }

    fn of_period(period: &leaf::Period<'_>) -> Option<Self> {
        let (start, end) = (text(period.start.as_ref()), text(period.end.as_ref()));
        if start.is_none() && end.is_none() {
            return None;
        }
        let from = start.map_or(Some(i64::MIN), |text| {
            Self::read(text).map(|range| range.from)
        });
        let to = end.map_or(Some(i64::MAX), |text| {
            Self::read(text).map(|range| range.to)
        });
        Some(Self {
            from: from?,
            to: to?,
        })
    }

    fn of_timing(timing: &leaf::Timing<'_>) -> Option<Self> {
        let events = timing.event.iter().flatten();
        let events = events.filter_map(|event| Self::read(&event.0));
        let bounds = timing
            .repeat
            .as_ref()
            .and_then(|repeat| repeat.bounds_period.as_ref());
        let all = events.chain(bounds.and_then(Self::of_period));
        all.reduce(|one, other| Self {
            from: one.from.min(other.from),
            to: one.to.max(other.to),
        })
    }

    fn found(datatype: Datatype, json: &str) -> Option<Self> {
        match datatype {
            Datatype::Date => Self::read(&leaf::read::<Text<'_>>(json)?.0),
            Datatype::Period => Self::of_period(&leaf::read(json)?),
            Datatype::Timing => Self::of_timing(&leaf::read(json)?),
            _ => None,
        }
    }
}

/// What follows the time: its distance from UTC in microseconds.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, offset) = time.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let two = |text: &str| {
        (text.len() == 2)
            .then(|| text.parse::<i64>().ok())
            .flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let in_range = (0..=14).contains(&hours) && (0..60).contains(&minutes);
    in_range.then_some((time, sign * (hours * 60 + minutes) * 60 * SECOND))
}

/// Microseconds of the digits behind a second.
fn part(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let told: String = digits
        .chars()
        .chain("000000".chars())
        .take(DIGITS)
        .collect();
    told.parse().ok()
}

fn micros(time: DateTime) -> Option<i64> {
    let since: SignedDuration = time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    i64::try_from(since.as_micros()).ok()
}

/// What a date should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DateTest {
    prefix: Prefix,
    range: Range,
}

impl DateTest {
    /// `ge2026-01`; `None` for anything else.
    pub(super) fn read(value: &str) -> Option<Self> {
        let (prefix, text) = Prefix::split(value);
        // An unencoded plus sign before the offset arrives as a space (T-012).
        let range = Range::read(text).or_else(|| Range::read(&text.replace(' ', "+")));
        range.map(|range| Self { prefix, range })
    }

    /// Whether a value is what is wanted.
    pub(super) fn matches(&self, datatype: Datatype, json: &str) -> bool {
        Range::found(datatype, json).is_some_and(|found| self.fits(found))
    }

    fn fits(&self, found: Range) -> bool {
        let asked = self.range;
        let is_in = asked.from <= found.from && found.to <= asked.to;
        match self.prefix {
            Prefix::Eq => is_in,
            Prefix::Ne => !is_in,
            Prefix::Gt => found.to > asked.to,
            Prefix::Lt => found.from < asked.from,
            Prefix::Ge => is_in || found.to > asked.to,
            Prefix::Le => is_in || found.from < asked.from,
            Prefix::Sa => found.from >= asked.to,
            Prefix::Eb => found.to <= asked.from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(wanted: &str, found: &str) -> bool {
        let json = format!("{found:?}");
        DateTest::read(wanted)
            .unwrap()
            .matches(Datatype::Date, &json)
    }

    #[test]
    fn a_value_is_as_long_as_it_is_precise() {
        assert!(is("2026", "2026-12-31") && is("2026-12", "2026-12-31T23:59:59.999Z"));
        assert!(!is("2026-12-31", "2026") && !is("2026-12-31", "2026-12"));
        assert!(is("2026-01-01T00:00", "2026-01-01T00:00:59Z"));
        assert!(!is("2026-01-01T00:00:00", "2026-01-01T00:00:01Z"));
        assert!(is("2026-01-01T00:00:00Z", "2026-01-01T05:00:00.5+05:00"));
    }

    #[test]
    fn every_prefix() {
        for (prefix, before, within, after) in [
            ("eq", false, true, false),
            ("ne", true, false, true),
            ("gt", false, false, true),
            ("lt", true, false, false),
            ("ge", false, true, true),
            ("le", true, true, false),
            ("sa", false, false, true),
            ("eb", true, false, false),
        ] {
            let wanted = format!("{prefix}2026-03");
            let got = ["2026-02-28", "2026-03-31", "2026-04-01"].map(|found| is(&wanted, found));
            assert_eq!(got, [before, within, after], "{prefix}");
        }
    }

    #[test]
    fn open_periods_have_no_end_and_timings_reach_from_first_to_last() {
        let is = |wanted: &str, datatype, json: &str| {
            DateTest::read(wanted).unwrap().matches(datatype, json)
        };
        let open = r#"{"start":"2026-03-02"}"#;
        assert!(is("gt2090", Datatype::Period, open));
        assert!(!is("2026", Datatype::Period, open) && !is("lt2026", Datatype::Period, open));
        assert!(!is("ne2026", Datatype::Period, "{}"));
        let timing = r#"{"event":["2026-03-02","2026-05-01"]}"#;
        assert!(is("2026", Datatype::Timing, timing) && !is("2026-03", Datatype::Timing, timing));
        assert!(!is(
            "ne2026",
            Datatype::Timing,
            r#"{"code":{"text":"BID"}}"#
        ));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "20",
            "2026-13",
            "2026-02-30",
            "2026-01-01T",
            "2026-01-01T10",
            "2026-01-01T25:00",
            "2026-01-01T10:00:00.Z",
            "2026-01-01T10:00:00+5",
            "now",
            "ap2026",
            "2026-01-01T10:00:00+15:00",
        ] {
            assert!(DateTest::read(text).is_none(), "{text}");
        }
        assert!(DateTest::read("9999-12-31").is_some());
    }
}
