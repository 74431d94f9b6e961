//! Cuts an input into what a target wants. Lines, so that people can write seeds.

use std::borrow::Cow;

/// What stands before the first line feed, and what after it.
pub(crate) fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let first = parts.next().unwrap_or_default();
    (first, parts.next().unwrap_or_default())
}

/// As text, whatever it is.
pub(crate) fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}
