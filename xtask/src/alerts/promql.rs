//! Which metrics an expression of `PromQL` names. It knows no more of the language than that takes.

use std::collections::BTreeSet;

/// Before a list of labels, or between two expressions.
const WORDS: [&str; 14] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "inf",
    "nan",
    "atan2",
];
/// Those of them that a list of labels follows.
const LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Names of metrics and of recorded series, as they stand there.
pub(super) fn metrics(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '#' => rest.split_once('\n').map_or("", |(_, after)| after),
            '{' => closed(rest, '}'),
            '[' => closed(rest, ']'),
            '"' | '\'' | '`' => closed(rest, first),
            '0'..='9' | '.' => rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '.'),
            'a'..='z' | 'A'..='Z' | '_' | ':' => word(rest, &mut found),
            other => &rest[other.len_utf8()..],
        };
    }
    found
}

/// Takes a word off, and what belongs to it.
fn word<'e>(text: &'e str, found: &mut BTreeSet<String>) -> &'e str {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let after = text.trim_start_matches(inside);
    let name = &text[..text.len() - after.len()];
    let lower = name.to_ascii_lowercase();
    let next = after.trim_start();
    if LISTS.contains(&lower.as_str()) {
        return if next.starts_with('(') {
            closed(next, ')')
        } else {
            after
        };
    }
    let next_word = next.trim_start_matches(inside);
    let next_word = &next[..next.len() - next_word.len()];
    let aggregates = matches!(next_word, "by" | "without");
    let calls = next.starts_with('(');
    if !calls && !aggregates && !WORDS.contains(&lower.as_str()) {
        found.insert(name.to_owned());
    }
    after
}

/// What follows the end of something that begins here. Its strings may hold anything.
fn closed(text: &str, end: char) -> &str {
    let mut inside: Option<char> = None;
    let mut skipped = false;
    for (at, c) in text.char_indices().skip(1) {
        match inside {
            _ if skipped => skipped = false,
            _ if c == '\\' => skipped = true,
            None if c == end => return &text[at + c.len_utf8()..],
            None if matches!(c, '"' | '\'' | '`') => inside = Some(c),
            Some(quote) if c == quote => inside = None,
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_from_functions_labels_and_words() {
        for (expression, expected) in [
            ("up", &["up"][..]),
            ("sum by (le) (rate(a_bucket[5m])) > 0.5", &["a_bucket"]),
            (
                "sum(a) by (tenant) / on (tenant) group_left (x) b",
                &["a", "b"],
            ),
            (
                "(sum(rate(a{x=~\"500|[}]\", y='b\\'c'}[1h])) or vector(0)) / sum(rate(a[1h]))",
                &["a"],
            ),
            (
                "a:b:rate5m > 14.4 * 1e3 and c unless on () d",
                &["a:b:rate5m", "c", "d"],
            ),
            ("max(a) > bool 1 # not c\n or -b offset 1d", &["a", "b"]),
            (
                "absent(a) == +Inf or count(count by (v) (b)) > 1",
                &["a", "b"],
            ),
            ("label_values(a, tenant)", &["a", "tenant"]),
            ("ALERTS{alertname=~\"A.+\"}", &["ALERTS"]),
            ("", &[]),
        ] {
            let expected = expected.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(metrics(expression), expected, "{expression}");
        }
    }
}
