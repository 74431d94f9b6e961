//! The `Range` header: one range of bytes; anything else means the whole file.

use std::ops::Range;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    Part(Range<u64>),
    Outside,
}

/// Reads a header for a file of `size` bytes. Several ranges at once are answered whole, as
/// RFC 9110 14.2 allows.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((from, to)) = spec.split_once('-') else {
        return Wanted::Whole;
    };
    match (from.trim().parse::<u64>(), to.trim()) {
        (Ok(from), "") => part(from, size, size),
        (Ok(from), to) => match to.parse::<u64>() {
            Ok(to) if to >= from => part(from, to.saturating_add(1), size),
            _ => Wanted::Whole,
        },
        (Err(_), last) if from.trim().is_empty() => match last.parse::<u64>() {
            Ok(0) => Wanted::Outside,
            Ok(last) => part(size.saturating_sub(last), size, size),
            Err(_) => Wanted::Whole,
        },
        _ => Wanted::Whole,
    }
}

fn part(from: u64, to: u64, size: u64) -> Wanted {
    if from >= size {
        Wanted::Outside
    } else {
        Wanted::Part(from..to.min(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_the_rest_is_whole() {
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=2-4"), 10), Wanted::Part(2..5));
        assert_eq!(wanted(Some("bytes=2-"), 10), Wanted::Part(2..10));
        assert_eq!(wanted(Some("bytes=-3"), 10), Wanted::Part(7..10));
        assert_eq!(wanted(Some("bytes=-30"), 10), Wanted::Part(0..10));
        assert_eq!(wanted(Some("bytes=2-99"), 10), Wanted::Part(2..10));
        assert_eq!(wanted(Some("bytes=10-"), 10), Wanted::Outside);
        assert_eq!(wanted(Some("bytes=-0"), 10), Wanted::Outside);
        for whole in [
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=4-2",
            "bytes=x-",
            "bytes=-",
        ] {
            assert_eq!(wanted(Some(whole), 10), Wanted::Whole, "{whole}");
        }
    }
}
