//! Ranges of the keys by which slices are cut: the owner, then the id.

use serde::{Deserialize, Serialize};
use sluice_fhir::is_id;

/// Owners that are people begin here.
pub(crate) const FIRST_PATIENT: i64 = 64;
/// The owner of what is nobody's.
pub(crate) const NOBODY: i64 = 0;
/// The owner of what names somebody who cannot be told.
pub(crate) const SOMEBODY: i64 = -1;
/// The owner of every Provenance.
pub(crate) const FOLLOWS: i64 = -2;
/// Patients a bucket of the volumes, as a power of two.
pub(crate) const BUCKET: u32 = 6;

/// A place among the rows of a type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key(pub(crate) i64, pub(crate) String);

impl Key {
    /// Before everything: no owner is lower, and a lower number would be no bigint to the database when
    /// it is written without a sign.
    pub(crate) fn first() -> Self {
        Self(-1 << BUCKET, String::new())
    }

    /// Where an owner begins.
    pub(crate) fn of(owner: i64) -> Self {
        Self(owner, String::new())
    }

    /// The bucket that it lies in.
    pub(crate) fn bucket(&self) -> i64 {
        self.0 >> BUCKET
    }

    /// As SQL.
    pub(crate) fn sql(&self) -> String {
        format!("({}, {}::text)", self.0, quoted(&self.1))
    }
}

/// From a key up to but without another; without an end, to the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span(pub(crate) Key, pub(crate) Option<Key>);

impl Span {
    /// That a row lies in it, the row's key being of these columns.
    pub(crate) fn holds(&self, owner: &str, id: &str) -> String {
        let from = self.0.sql();
        // Beside the pair, the owner alone: that is what the planner estimates by.
        let mut text = format!("{owner} >= {} AND ({owner}, {id}) >= {from}", self.0.0);
        if let Some(to) = &self.1 {
            let below = to.sql();
            text = format!(
                "{text} AND {owner} <= {} AND ({owner}, {id}) < {below}",
                to.0
            );
        }
        text
    }

    /// The owners in it that are people, the first and the one after the last.
    pub(crate) fn patients(&self) -> (i64, i64) {
        let to = match &self.1 {
            None => i64::MAX,
            Some(Key(owner, id)) if id.is_empty() => *owner,
            Some(Key(owner, _)) => owner.saturating_add(1),
        };
        (self.0.0.max(FIRST_PATIENT), to)
    }

    /// Whether it may hold rows of an owner.
    pub(crate) fn touches(&self, owner: i64) -> bool {
        self.0.0 <= owner && self.1.as_ref().is_none_or(|to| *to > Key::of(owner))
    }

    /// The part of it between two owners.
    pub(crate) fn within(&self, from: i64, to: i64) -> Self {
        let start = self.0.clone().max(Key::of(from));
        let end = Key::of(to);
        let end = match &self.1 {
            Some(own) if *own < end => own.clone(),
            _ => end,
        };
        Self(start, Some(end))
    }
}

/// The rows of a target under a condition, as a query to be joined laterally. A target of any type
/// (`urn:uuid:`) is looked for in all of them; of a known one, only where it can be.
pub(crate) fn rows_of(row: &str, kind: &str, id: &str, columns: &str, condition: &str) -> String {
    let one = |kind: &str| {
        format!(
            "SELECT {columns} FROM sluice.resource {row} WHERE {kind} AND {row}.id = {id} \
             AND {condition}"
        )
    };
    format!(
        "{} UNION ALL {}",
        one(&format!("{row}.kind = {kind}")),
        one(&format!("{kind} = 0"))
    )
}

/// A text as SQL. Ids have no quotes; that they cannot do harm does not rest on it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\0', ""))
}

/// Ids as an array in SQL; what is no id cannot be there, and is left out.
pub(crate) fn ids(ids: &[String]) -> String {
    let ids: Vec<&str> = ids
        .iter()
        .map(String::as_str)
        .filter(|id| is_id(id))
        .collect();
    format!("'{{{}}}'::text[]", ids.join(","))
}

/// Numbers as an array in SQL.
pub(crate) fn numbers<T: std::fmt::Display>(numbers: &[T], of: &str) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("'{{{}}}'::{of}[]", numbers.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_do_not_end_a_text() {
        assert_eq!(quoted("a'b"), "'a''b'");
        let list = ["p-1".to_owned(), "x'); drop".to_owned()];
        assert_eq!(ids(&list), "'{p-1}'::text[]");
    }

    #[test]
    fn a_span_knows_its_patients() {
        let key = |owner, id: &str| Key(owner, id.to_owned());
        let span = Span(Key::first(), None);
        assert_eq!(span.patients(), (64, i64::MAX));
        assert!(span.touches(NOBODY) && span.touches(SOMEBODY));
        let span = Span(key(70, "m"), Some(key(80, "")));
        assert_eq!(span.patients(), (70, 80));
        assert!(!span.touches(NOBODY));
        let span = Span(key(70, "m"), Some(key(80, "x")));
        assert_eq!(span.patients(), (70, 81));
        assert_eq!(span.within(0, 75), Span(key(70, "m"), Some(key(75, ""))));
        assert_eq!(span.within(75, 90), Span(key(75, ""), Some(key(80, "x"))));
    }
}
