//! Small types that share a slice.

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_model::{PlannedChunk, Tally};
use sluice_ports::{PortError, chunk_of};

/// Whole types that wait for company, and how much they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pack {
    types: Vec<ResourceType>,
    tally: Tally,
}

impl Pack {
    /// Adds a type, all of which is in the span `whole`. Gives what was there before if it is too much
    /// together.
    pub(crate) fn add<S: Serialize>(
        &mut self,
        (kind, tally): (ResourceType, Tally),
        target: u64,
        whole: &S,
    ) -> Result<Option<PlannedChunk>, PortError> {
        let is_full = self.tally.bytes + tally.bytes > target;
        let ready = if is_full { self.take(whole)? } else { None };
        self.types.push(kind);
        self.tally += tally;
        Ok(ready)
    }

    /// What is there.
    pub(crate) fn take<S: Serialize>(
        &mut self,
        whole: &S,
    ) -> Result<Option<PlannedChunk>, PortError> {
        let Self { types, tally } = std::mem::take(self);
        if types.is_empty() {
            return Ok(None);
        }
        let pack: Vec<(ResourceType, &S)> = types.into_iter().map(|kind| (kind, whole)).collect();
        chunk_of(&pack, tally).map(Some)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}
