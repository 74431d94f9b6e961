//! Settings of a source that is a PostgreSQL database.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Secret, nonzero};

/// How a tenant's database is reached, if its source is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresSection {
    /// The password of the user in the address.
    pub password: Secret,
    /// PEM of the authorities that sign the server's certificate; unset means those of the machine.
    pub ca_file: Option<PathBuf>,
    /// PEM of our own certificate chain, where the server asks for one.
    pub certificate: Option<PathBuf>,
    /// PEM of its key.
    pub key: Option<PathBuf>,
    /// Connections at once in one process.
    pub connections: NonZeroU32,
    /// Slices read at once in one process.
    pub reads: NonZeroU32,
    /// The longest that the database may work on anything but a slice.
    pub statement_seconds: NonZeroU32,
    /// The longest that a statement of a slice may take.
    pub read_minutes: NonZeroU32,
    /// A view of the site's own, `SCHEMA.NAME`, in place of the tables of `sluice migrate`.
    pub relation: Option<String>,
    /// The names of its columns.
    pub columns: ColumnsSection,
}

impl Default for PostgresSection {
    fn default() -> Self {
        Self {
            password: Secret::default(),
            ca_file: None,
            certificate: None,
            key: None,
            connections: nonzero(8),
            reads: nonzero(4),
            statement_seconds: nonzero(60),
            read_minutes: nonzero(15),
            relation: None,
            columns: ColumnsSection::default(),
        }
    }
}

/// The columns of a view of the site's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnsSection {
    /// The resource type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id.
    pub id: String,
    /// The id of the patient in whose compartment it lies.
    pub patient: String,
    /// When it changed.
    pub last_updated: String,
    /// The resource.
    pub body: String,
    /// Whether it is deleted, if the view tells.
    pub deleted: Option<String>,
}

impl Default for ColumnsSection {
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
