//! Resource types as numbers, for the index.

use std::sync::LazyLock;

use sluice_fhir::ResourceType;

static KINDS: LazyLock<Vec<ResourceType>> = LazyLock::new(|| ResourceType::all().collect());

/// The number of a type that is not known.
pub(super) const ANY: i64 = -1;

/// The number of a type; it holds for one index format.
pub(super) fn code(kind: ResourceType) -> i64 {
    match KINDS.binary_search(&kind) {
        Ok(at) => i64::try_from(at).unwrap_or(ANY),
        Err(_) => ANY,
    }
}

/// The type with a number.
pub(super) fn kind(code: i64) -> Option<ResourceType> {
    KINDS.get(usize::try_from(code).ok()?).copied()
}
