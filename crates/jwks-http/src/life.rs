//! How long an answer may be kept, by its `Cache-Control` and `Age` headers (RFC 9111).

use std::time::Duration;

use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};

/// The longest life that is believed: a key that was withdrawn must not be good for weeks.
const LONGEST: Duration = Duration::from_hours(24);

/// Zero when the answer must not be kept, or speaks of its life in words that cannot be read; `None`
/// when it says nothing.
pub(crate) fn life(headers: &HeaderMap) -> Option<Duration> {
    let mut life: Option<Duration> = None;
    for value in headers.get_all(CACHE_CONTROL) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for directive in directives(&text) {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let said = match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => Duration::ZERO,
                "max-age" => seconds(argument).unwrap_or_default(),
                _ => continue,
            };
            // Of two that contradict each other, the careful one.
            life = Some(life.map_or(said, |other| other.min(said)));
        }
    }
    life.map(|life| life.saturating_sub(age(headers)).min(LONGEST))
}

/// What stands between commas that are not in quotes.
fn directives(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
}

/// How long a cache on the way has kept it already.
fn age(headers: &HeaderMap) -> Duration {
    let text = headers.get(AGE).and_then(|value| value.to_str().ok());
    text.and_then(seconds).unwrap_or_default()
}

/// Digits, in quotes or not. A number that is too large means a very long time.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim().trim_matches('"');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn of(controls: &[&str], age: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for control in controls {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(control).unwrap());
        }
        if let Some(age) = age {
            headers.insert(AGE, HeaderValue::from_str(age).unwrap());
        }
        life(&headers).map(|life| life.as_secs())
    }

    #[test]
    fn nothing_said_is_none() {
        assert_eq!(of(&[], None), None);
        assert_eq!(of(&[], Some("10")), None);
        assert_eq!(of(&["public, must-revalidate, s-maxage=60"], None), None);
        assert_eq!(of(&["extension=\"a, max-age=60\""], None), None);
    }

    #[test]
    fn max_age_counts_from_when_it_was_made() {
        assert_eq!(of(&["max-age=300"], None), Some(300));
        assert_eq!(of(&["public, Max-Age = \"300\" "], None), Some(300));
        assert_eq!(of(&["max-age=300"], Some("100")), Some(200));
        assert_eq!(of(&["max-age=300"], Some("301")), Some(0));
        assert_eq!(of(&["max-age=300"], Some("soon")), Some(300));
        assert_eq!(of(&["max-age=300", "max-age=200"], None), Some(200));
    }

    #[test]
    fn what_must_not_be_kept_is_zero() {
        assert_eq!(of(&["no-store"], None), Some(0));
        assert_eq!(of(&["max-age=300, NO-CACHE"], None), Some(0));
        assert_eq!(of(&["max-age=300", "no-store"], None), Some(0));
        assert_eq!(
            of(&["no-cache=\"set-cookie, x\", max-age=9"], None),
            Some(0)
        );
        assert_eq!(of(&["max-age=soon"], None), Some(0));
        assert_eq!(of(&["max-age=-1"], None), Some(0));
        assert_eq!(of(&["max-age"], None), Some(0));
    }

    #[test]
    fn a_day_is_the_most() {
        let day = Some(24 * 60 * 60);
        assert_eq!(of(&["max-age=31536000"], None), day);
        assert_eq!(of(&["max-age=99999999999999999999999"], None), day);
        assert_eq!(of(&["max-age=172800"], Some("86400")), day);
    }
}
