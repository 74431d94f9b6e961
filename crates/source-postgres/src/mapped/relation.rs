//! The relation as pieces of SQL: what a row is, whose, whether it counts.

use sluice_fhir::{Instant, ResourceType, compartment};
use sluice_model::Scope;

/// The type of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Text,
    /// json or jsonb.
    Json,
    Bytes,
}

/// A relation that was found to be what the mapping says. Names are quoted.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) patient: String,
    pub(super) updated: String,
    pub(super) has_zone: bool,
    pub(super) body: String,
    pub(super) body_type: Body,
    pub(super) deleted: Option<String>,
}

impl Relation {
    /// It, for `FROM`.
    pub(super) fn named(&self, row: &str) -> String {
        format!("{} AS {row}", self.name)
    }

    /// Its columns.
    pub(super) fn all(&self, row: &str) -> String {
        let columns = [
            &self.kind,
            &self.id,
            &self.patient,
            &self.updated,
            &self.body,
        ];
        let columns = columns.into_iter().chain(&self.deleted);
        let columns: Vec<String> = columns.map(|name| format!("{row}.{name}")).collect();
        columns.join(", ")
    }

    /// That a row is of a type, and can be named.
    pub(super) fn is_a(&self, row: &str, kind: ResourceType) -> String {
        let (column, id) = (&self.kind, &self.id);
        format!("{row}.{column} = '{kind}' AND {row}.{id} IS NOT NULL")
    }

    /// That a row is of one of some types, and can be named.
    pub(super) fn is_any(&self, row: &str, kinds: &[ResourceType]) -> String {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let (column, id) = (&self.kind, &self.id);
        let names = names.join(",");
        format!("{row}.{column} = ANY('{{{names}}}'::text[]) AND {row}.{id} IS NOT NULL")
    }

    /// The id of a row, ordered by its bytes.
    pub(super) fn id(&self, row: &str) -> String {
        format!("{row}.{}::text COLLATE \"C\"", self.id)
    }

    /// The patient of a row of a type: of a Patient, the Patient.
    pub(super) fn patient(&self, row: &str, kind: ResourceType) -> String {
        if kind == ResourceType::PATIENT {
            return self.id(row);
        }
        format!("{row}.{}::text COLLATE \"C\"", self.patient)
    }

    /// The same as the column is, for what an index finds by equality.
    pub(super) fn patient_column(&self, row: &str, kind: ResourceType) -> String {
        let is_own = kind == ResourceType::PATIENT;
        let column = if is_own { &self.id } else { &self.patient };
        format!("{row}.{column}")
    }

    /// The patient of a row of any type.
    pub(super) fn anyones(&self, row: &str) -> String {
        let Self {
            kind, id, patient, ..
        } = self;
        format!(
            "(CASE WHEN {row}.{kind} = 'Patient' THEN {row}.{id} ELSE {row}.{patient} END)::text \
             COLLATE \"C\""
        )
    }

    /// That it is not deleted.
    pub(super) fn lives(&self, row: &str) -> String {
        match &self.deleted {
            Some(deleted) => format!("{row}.{deleted} IS NOT TRUE"),
            None => "TRUE".to_owned(),
        }
    }

    /// That there is a body. It may be empty, which only the reading tells: the database guesses badly how
    /// many are.
    pub(super) fn has_body(&self, row: &str) -> String {
        format!("{row}.{} IS NOT NULL", self.body)
    }

    /// That there is nothing in it.
    pub(super) fn is_empty(&self, row: &str) -> String {
        match self.body_type {
            Body::Json => format!("{row}.{} IS NULL", self.body),
            Body::Text | Body::Bytes => {
                format!("coalesce(octet_length({row}.{}), 0) = 0", self.body)
            }
        }
    }

    /// Bytes of its body. Of text and bytes the database knows them without unpacking.
    pub(super) fn size(&self, row: &str) -> String {
        match self.body_type {
            Body::Json => format!("octet_length({row}.{}::text)", self.body),
            Body::Text | Body::Bytes => format!("octet_length({row}.{})", self.body),
        }
    }

    /// A body, by whatever name, as bytes.
    pub(super) fn bytes(&self, body: &str) -> String {
        match self.body_type {
            Body::Bytes => body.to_owned(),
            Body::Text | Body::Json => format!("convert_to({body}::text, 'UTF8')"),
        }
    }

    /// That it changed between `_since` and `_until`, both exclusive, or that nobody knows when it did
    /// (T-025, T-026, R-043).
    pub(super) fn changed(&self, row: &str, scope: &Scope) -> String {
        let bounds = self.bounds(row, scope);
        if bounds.is_empty() {
            return "TRUE".to_owned();
        }
        format!("({row}.{} IS NULL OR ({bounds}))", self.updated)
    }

    /// The same for those whose time is known; empty when the scope has no bounds.
    pub(super) fn bounds(&self, row: &str, scope: &Scope) -> String {
        // The database knows microseconds: later than a bound is later than its microsecond.
        let since = scope
            .since
            .map(|since| format!("> {}", self.time(since.nanos().div_euclid(1000))));
        let until = scope.until.map(|until| {
            let micros = until.nanos().saturating_add(999).div_euclid(1000);
            format!("< {}", self.time(micros))
        });
        let bounds = [since, until].into_iter().flatten();
        let bounds: Vec<String> = bounds
            .map(|bound| format!("{row}.{} {bound}", self.updated))
            .collect();
        bounds.join(" AND ")
    }

    /// That a row counts under a scope: it lives, has a body, and changed.
    pub(super) fn counts(&self, row: &str, scope: &Scope) -> String {
        format!(
            "{} AND {} AND {}",
            self.lives(row),
            self.has_body(row),
            self.changed(row, scope)
        )
    }

    /// That there is such a Patient.
    pub(super) fn exists(&self, patient: &str) -> String {
        format!(
            "EXISTS (SELECT 1 FROM {} WHERE {} AND e.{} = {patient} AND {})",
            self.named("e"),
            self.is_a("e", ResourceType::PATIENT),
            self.id,
            self.lives("e"),
        )
    }

    pub(super) fn time(&self, micros: i64) -> String {
        let millis = Instant::from_millis(micros.div_euclid(1000)).to_string();
        let text = millis.trim_end_matches('Z');
        let rest = micros.rem_euclid(1000);
        if self.has_zone {
            format!("timestamptz '{text}{rest:03}Z'")
        } else {
            format!("timestamp '{text}{rest:03}'")
        }
    }
}

/// Whether what is nobody's of a type leaves with patients too: only what no compartment can hold. What
/// in a compartment refers to it cannot be known without reading every body, so all of it does.
pub(super) fn is_directory(kind: ResourceType) -> bool {
    !compartment::contains(kind)
}

/// A text as SQL, whatever the server thinks of backslashes.
pub(super) fn text(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('\'', "''")
        .replace('\0', "");
    format!("E'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_quotes_nor_backslashes_end_a_text() {
        assert_eq!(text(r"a'b\"), r"E'a''b\\'");
    }
}
