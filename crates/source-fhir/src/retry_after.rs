//! How long to wait: what `Retry-After` says in seconds, or by a date held against the server's own
//! `Date`; otherwise longer each time, with some chance in it.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How long to wait, if the server says so in a way that can be read.
pub(crate) fn told(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let now = headers.get(DATE)?.to_str().ok()?;
    let now = httpdate::parse_http_date(now).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// Doubles from half a second on; `chance` adds up to as much again.
pub(crate) fn untold(tried: u32, chance: u8) -> Duration {
    let base = Duration::from_millis(250) * (1 << tried.min(6));
    base + base * u32::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            headers.insert(DATE, "Tue, 03 Mar 2026 08:15:30 GMT".parse().unwrap());
            told(&headers)
        };
        assert_eq!(with("7"), Some(Duration::from_secs(7)));
        let date = with("Tue, 03 Mar 2026 08:16:00 GMT");
        assert_eq!(date, Some(Duration::from_secs(30)));
        assert_eq!(with("Tue, 03 Mar 2026 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(with("soon"), None);
        assert!(untold(1, 0) < untold(2, 0) && untold(2, 0) < untold(2, 255));
    }
}
