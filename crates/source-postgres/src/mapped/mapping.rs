//! What a site says about its relation, and whether those are names.

/// Where the resources are: a table or view, and what its columns are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// `schema.view`, as it is written in the catalogue, case included, without quotes.
    pub relation: String,
    /// What its columns are called.
    pub columns: MappedColumns,
}

impl Mapping {
    /// Of a relation whose columns have the names of [`MappedColumns::default`].
    pub fn new(relation: impl Into<String>) -> Self {
        Self {
            relation: relation.into(),
            columns: MappedColumns::default(),
        }
    }
}

/// Names of the columns, as they are written in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedColumns {
    /// `type`: the resource's type.
    pub kind: String,
    /// `id`: its id.
    pub id: String,
    /// `patient`: the id of a patient in whose compartment it lies. A resource that lies in several has
    /// a row for each.
    pub patient: String,
    /// `last_updated`: when it changed.
    pub last_updated: String,
    /// `body`: its JSON.
    pub body: String,
    /// Whether it is deleted. Without a name, the column `deleted` if there is one.
    pub deleted: Option<String>,
}

impl Default for MappedColumns {
    fn default() -> Self {
        Self {
            kind: "type".to_owned(),
            id: "id".to_owned(),
            patient: "patient".to_owned(),
            last_updated: "last_updated".to_owned(),
            body: "body".to_owned(),
            deleted: None,
        }
    }
}

/// What is wrong with a mapping, for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// It is not `schema.view`.
    #[error("relation {0:?} is not schema.view, both of letters, digits and underscores")]
    Relation(String),
    /// It cannot be the name of a column.
    #[error("columns.{role} {name:?} is no name of letters, digits and underscores")]
    Column {
        /// Which setting.
        role: &'static str,
        /// What it says.
        name: String,
    },
    /// The database does not know it.
    #[error("there is no table or view {relation} that this user sees{hint}")]
    NoRelation {
        /// Its name.
        relation: String,
        /// What was meant, perhaps.
        hint: String,
    },
    /// There is something of that name that holds no rows.
    #[error("{0} is neither a table nor a view")]
    NoRows(String),
    /// It has no such column.
    #[error("{relation} has no column {name}, which columns.{role} names; it has {found}")]
    NoColumn {
        /// The relation.
        relation: String,
        /// Which setting.
        role: &'static str,
        /// What it says.
        name: String,
        /// The columns that there are.
        found: String,
    },
    /// The column is of a type that cannot be used.
    #[error("column {name} of {relation} is {found}; as columns.{role} it has to be {wanted}")]
    WrongType {
        /// The relation.
        relation: String,
        /// Which setting.
        role: &'static str,
        /// The column.
        name: String,
        /// Its type.
        found: String,
        /// The types that can be used.
        wanted: &'static str,
    },
}

/// The parts of a relation's name.
pub(super) fn relation(text: &str) -> Result<(&str, &str), MappingError> {
    match text.split_once('.') {
        Some((schema, name)) if is_name(schema) && is_name(name) => Ok((schema, name)),
        _ => Err(MappingError::Relation(text.to_owned())),
    }
}

/// A column's name, checked.
pub(super) fn column<'a>(role: &'static str, name: &'a str) -> Result<&'a str, MappingError> {
    if is_name(name) {
        return Ok(name);
    }
    Err(MappingError::Column {
        role,
        name: name.to_owned(),
    })
}

/// Stricter than PostgreSQL, for these names become part of statements.
fn is_name(text: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    text.len() <= 63
        && text.as_bytes().first().is_some_and(is_first)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_and_nothing_else() {
        assert_eq!(relation("fhir.resources"), Ok(("fhir", "resources")));
        assert_eq!(relation("Fhir_1._x"), Ok(("Fhir_1", "_x")));
        for text in [
            "resources",
            "a.b.c",
            "fhir.",
            ".x",
            "fhir.1x",
            "fhir.x y",
            "fhir.\"x\"",
            "fhir.x; DROP TABLE x",
            "fhir.x--",
            "fhir.größe",
        ] {
            assert!(relation(text).is_err(), "{text}");
        }
        assert!(column("body", &"x".repeat(64)).is_err());
        let refused = column("body", "body\" FROM x --").unwrap_err();
        assert!(refused.to_string().contains("columns.body"));
    }
}
