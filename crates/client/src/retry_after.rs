//! How long to wait: what the `Retry-After` header says in seconds, or by a date held against the
//! server's own `Date`; and otherwise longer each time.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_hours(1);
/// Waits that nobody told grow to this.
const LONGEST_UNTOLD: Duration = Duration::from_secs(30);

/// How long to wait, if the server says so in a way that can be read.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let now = headers.get(DATE)?.to_str().ok()?;
        let now = httpdate::parse_http_date(now).ok()?;
        let then = httpdate::parse_http_date(text).ok()?;
        then.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

/// Doubles from a second on.
pub(crate) fn untold(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(5)).min(LONGEST_UNTOLD)
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
            retry_after(&headers)
        };
        assert_eq!(with("7"), Some(Duration::from_secs(7)));
        let date = "Tue, 03 Mar 2026 08:16:00 GMT";
        assert_eq!(with(date), Some(Duration::from_secs(30)));
        assert_eq!(with("Tue, 03 Mar 2026 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(with("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
