//! Types by the numbers that the tables know them by.

use std::collections::HashMap;

use sluice_fhir::ResourceType;
use sluice_ports::PortError;

use crate::failure::failed;
use crate::pool::Session;

/// Of any type: what `urn:uuid:` names.
pub(crate) const ANY: i16 = 0;

/// The numbers of this database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    codes: HashMap<ResourceType, i16>,
    types: HashMap<i16, ResourceType>,
}

impl Kinds {
    /// Reads them.
    pub(crate) async fn read(session: &Session) -> Result<Self, PortError> {
        let rows = session
            .query_typed("SELECT code, name FROM sluice.kind", &[])
            .await
            .map_err(failed("reading the types"))?;
        let mut kinds = Self::default();
        for row in rows {
            let (code, name): (i16, &str) = (row.get(0), row.get(1));
            if let Ok(kind) = name.parse() {
                kinds.codes.insert(kind, code);
                kinds.types.insert(code, kind);
            }
        }
        Ok(kinds)
    }

    /// The number of a type; of one that the database does not know, one that no row has.
    pub(crate) fn code(&self, kind: ResourceType) -> i16 {
        self.codes.get(&kind).copied().unwrap_or(-1)
    }

    /// The type behind a number.
    pub(crate) fn kind(&self, code: i16) -> Option<ResourceType> {
        self.types.get(&code).copied()
    }

    /// The numbers of some types.
    pub(crate) fn codes(&self, types: &[ResourceType]) -> Vec<i16> {
        types.iter().map(|kind| self.code(*kind)).collect()
    }
}
