//! What an export chooses of the resources in its scope, and of each of them.

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_fhir::elements::Elements;
use sluice_fhir::search::Filter;

/// Settled at kick-off, and applied by whoever reads a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Queries of `_typeFilter`. Of a type that has some, only what meets one of them is exported (R-076,
    /// R-080); of any other type, everything is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// What `_elements` asks for.
    #[serde(default, skip_serializing_if = "Elements::is_empty")]
    pub elements: Elements,
}

impl Selection {
    /// Whether every resource is exported as it is.
    pub fn is_everything(&self) -> bool {
        self.filters.is_empty() && self.elements.is_empty()
    }

    /// The queries of a type.
    pub fn filters_of(&self, kind: ResourceType) -> impl Iterator<Item = &Filter> {
        self.filters
            .iter()
            .filter(move |filter| filter.kind == kind)
    }
}
