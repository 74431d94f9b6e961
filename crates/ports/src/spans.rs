//! Slices whose range is a span of each of their types, as most sources cut them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_fhir::ResourceType;
use sluice_model::{PlannedChunk, Slice, Tally, Work};

use crate::{PortError, PortKind};

/// A chunk of data that reads a span of each of some types.
pub fn chunk_of<S: Serialize>(
    pack: &[(ResourceType, S)],
    expected: Tally,
) -> Result<PlannedChunk, PortError> {
    let spans: Vec<&S> = pack.iter().map(|(_, span)| span).collect();
    let range = serde_json::to_string(&spans).map_err(|_| foreign("range"))?;
    Ok(PlannedChunk {
        work: Work::Read,
        slice: Slice {
            types: pack.iter().map(|(kind, _)| *kind).collect(),
            range,
            deleted: false,
        },
        expected,
    })
}

/// A chunk of what was deleted of some types; it is expected to yield no resources.
pub fn deletions_of(types: Vec<ResourceType>) -> PlannedChunk {
    PlannedChunk {
        work: Work::Read,
        slice: Slice {
            types,
            range: String::new(),
            deleted: true,
        },
        expected: Tally::default(),
    }
}

/// The spans of a slice, by type.
pub fn spans_of<S: DeserializeOwned>(slice: &Slice) -> Result<Vec<(ResourceType, S)>, PortError> {
    let spans: Vec<S> = serde_json::from_str(&slice.range).map_err(|_| foreign("range"))?;
    if spans.len() != slice.types.len() {
        return Err(foreign("range"));
    }
    Ok(slice.types.iter().copied().zip(spans).collect())
}

/// That an opaque text, a range or a cursor, did not come from the source that was given it.
pub fn foreign(what: &str) -> PortError {
    let action = format!("using a {what} that this source did not make");
    PortError::new(PortKind::Permanent, action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_come_back_with_their_types_and_others_are_refused() {
        let pack = [
            (ResourceType::PATIENT, (0, 5)),
            (ResourceType::GROUP, (2, 3)),
        ];
        let mut slice = chunk_of(&pack, Tally::default()).unwrap().slice;
        assert_eq!(spans_of::<(i64, i64)>(&slice).unwrap(), pack);
        slice.types.pop();
        assert!(spans_of::<(i64, i64)>(&slice).is_err());
        slice.range = "everything".to_owned();
        assert!(spans_of::<(i64, i64)>(&slice).is_err());
    }
}
