//! A FHIR instant: a point in time with a zone, kept to the nanosecond.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since the Unix epoch (1677 to 2262; times beyond are held at the nearest end).
///
/// `Display` and JSON floor to milliseconds in UTC, which never moves a time up (T-025).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(i64);

/// A text that is no instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a FHIR instant such as 2026-03-01T00:00:00Z")]
pub struct InvalidInstant(pub String);

impl Instant {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, floored.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The same time with nothing finer than milliseconds, floored.
    #[must_use]
    pub const fn floor_to_millis(self) -> Self {
        Self::from_millis(self.millis())
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, wait: std::time::Duration) -> Self {
        let nanos = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long after `earlier`; zero when it is not after.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let nanos = self.0.saturating_sub(earlier.0);
        std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

impl FromStr for Instant {
    type Err = InvalidInstant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InvalidInstant(text.to_owned());
        if !has_the_shape(text.as_bytes()) {
            return Err(wrong());
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        let nanos = time.as_nanosecond();
        let end = if nanos < 0 { i64::MIN } else { i64::MAX };
        Ok(Self(i64::try_from(nanos).unwrap_or(end)))
    }
}

/// `YYYY-MM-DDThh:mm:ss[.f+](Z|±hh:mm)`: stricter than ISO 8601, as FHIR is (T-013).
fn has_the_shape(text: &[u8]) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let fits = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, want)| match want {
                b'd' => byte.is_ascii_digit(),
                want => byte == want,
            })
    };
    let Some((head, mut rest)) = text.split_at_checked(SHAPE.len()) else {
        return false;
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    fits(head, SHAPE) && (rest == b"Z" || fits(rest, b"+dd:dd") || fits(rest, b"-dd:dd"))
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.millis()) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => serializer.collect_str(&format_args!("{time:.9}")),
            Err(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_fractions_are_kept() {
        let at = |text: &str| text.parse::<Instant>().unwrap();
        assert_eq!(at("2026-03-01T05:00:00+05:00"), at("2026-03-01T00:00:00Z"));
        assert!(at("2026-03-01T00:00:00.0004Z") > at("2026-03-01T00:00:00Z"));
        assert_eq!(
            at("2026-03-01T00:00:00.9999999Z").to_string(),
            "2026-03-01T00:00:00.999Z"
        );
    }

    #[test]
    fn t_013_dates_and_loose_forms_are_refused() {
        for text in [
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0500",
            "",
            "now",
        ] {
            assert!(text.parse::<Instant>().is_err(), "{text}");
        }
    }

    #[test]
    fn json_keeps_the_nanoseconds() {
        let instant = Instant::from_nanos(1_700_000_000_123_456_789);
        let text = serde_json::to_string(&instant).unwrap();
        assert_eq!(serde_json::from_str::<Instant>(&text).unwrap(), instant);
    }
}
