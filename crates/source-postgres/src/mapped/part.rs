//! Ranges of the keys by which slices are cut, the patient and then the id, and the parts in which a
//! range is read.

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;

use super::relation::{Relation, text};

/// A place among the rows of a type, by bytes; what is nobody's comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key(pub(super) Option<String>, pub(super) String);

impl Key {
    /// Before everything.
    pub(super) fn first() -> Self {
        Self(None, String::new())
    }
}

/// From a key up to but without another; without an end, to the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span(pub(super) Key, pub(super) Option<Key>);

impl Span {
    /// All of a type.
    pub(super) fn whole() -> Self {
        Self(Key::first(), None)
    }

    /// Whether it may hold what is nobody's.
    pub(super) fn touches_nobody(&self) -> bool {
        self.0.0.is_none()
    }

    /// Whether it may hold what is somebody's.
    pub(super) fn touches_patients(&self) -> bool {
        self.1.as_ref().is_none_or(|to| to.0.is_some())
    }

    /// Of ids in order, those of the patients in it.
    pub(super) fn among<'a>(&self, patients: &'a [String]) -> &'a [String] {
        let from = match &self.0.0 {
            Some(first) => patients.partition_point(|patient| patient < first),
            None => 0,
        };
        let to = match &self.1 {
            None => patients.len(),
            Some(Key(None, _)) => from,
            Some(Key(Some(last), id)) => {
                let is_before =
                    |patient: &String| patient < last || (patient == last && !id.is_empty());
                patients.partition_point(is_before)
            }
        };
        patients.get(from..to.max(from)).unwrap_or_default()
    }

    /// That a row of nobody's lies in it.
    fn holds_nobodys(&self, id: &str) -> String {
        let mut sql = format!("{id} >= {}", text(&self.0.1));
        if let Some(Key(None, to)) = &self.1 {
            sql = format!("{sql} AND {id} < {}", text(to));
        }
        sql
    }

    /// That a row of somebody's lies in it.
    fn holds(&self, patient: &str, id: &str) -> String {
        let pair = |patient: &str, id: &str| format!("({}, {})", text(patient), text(id));
        let mut sql = "TRUE".to_owned();
        if let Key(Some(first), from) = &self.0 {
            sql = format!("({patient}, {id}) >= {}", pair(first, from));
        }
        if let Some(Key(Some(last), to)) = &self.1 {
            sql = format!("{sql} AND ({patient}, {id}) < {}", pair(last, to));
        }
        sql
    }
}

/// A part of a type's rows that one statement asks for. Rows of one part are before those of the next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// What is nobody's.
    Nobodys,
    /// Everybody's, Patients or not.
    Anyones,
    /// What is of Patients who exist.
    Everyones,
    /// What is of these patients, if they exist.
    Theirs(&'a [String]),
}

impl Part<'_> {
    /// That a row of a type lies in the part and the span, whether its patient exists or not.
    pub(super) fn holds(
        self,
        relation: &Relation,
        row: &str,
        kind: ResourceType,
        span: &Span,
    ) -> String {
        let column = relation.patient_column(row, kind);
        let id = relation.id(row);
        let whose = match self {
            Self::Nobodys => {
                return format!("{column} IS NULL AND {}", span.holds_nobodys(&id));
            }
            Self::Anyones | Self::Everyones => format!("{column} IS NOT NULL"),
            Self::Theirs(patients) => {
                format!("{column} = ANY({})", crate::range::ids(patients))
            }
        };
        let patient = relation.patient(row, kind);
        format!("{whose} AND {}", span.holds(&patient, &id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(patient: &str, id: &str) -> Key {
        Key(Some(patient.to_owned()), id.to_owned())
    }

    #[test]
    fn a_span_knows_its_patients() {
        let patients = ["a", "b", "c"].map(str::to_owned);
        let among = |span: Span| span.among(&patients).join("");
        assert_eq!(among(Span::whole()), "abc");
        assert_eq!(among(Span(key("b", "x"), None)), "bc");
        assert_eq!(among(Span(key("b", ""), Some(key("c", "")))), "b");
        assert_eq!(among(Span(key("b", "x"), Some(key("c", "y")))), "bc");
        assert_eq!(among(Span(key("b", "x"), Some(key("b", "y")))), "b");
        let nobody = Span(Key::first(), Some(Key(None, "m".to_owned())));
        assert!(nobody.touches_nobody() && !nobody.touches_patients());
        assert_eq!(among(nobody), "");
    }

    #[test]
    fn keys_are_ordered_as_the_rows_are() {
        assert!(Key::first() < Key(None, "a".to_owned()));
        assert!(Key(None, "z".to_owned()) < key("", ""));
        assert!(key("Z", "z") < key("a", "a"), "by bytes");
    }
}
