//! What an export chooses of the resources in its scope, and of each of them.

use serde::{Deserialize, Serialize};
use sluice_fhir::elements::Elements;
use sluice_fhir::search::Filter;
use sluice_fhir::{Provenances, ResourceType};

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
    /// What `includeAssociatedData` asks for; Provenance is then among the types of the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub associated: Option<Associated>,
}

/// Which Provenances come along with what is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Associated {
    /// Which.
    pub provenances: Provenances,
    /// Whether Provenance is asked for as a type, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub besides: bool,
}

impl Selection {
    /// Whether every resource is exported as it is.
    pub fn is_everything(&self) -> bool {
        self.filters.is_empty() && self.elements.is_empty() && self.associated.is_none()
    }

    /// The queries of a type.
    pub fn filters_of(&self, kind: ResourceType) -> impl Iterator<Item = &Filter> {
        self.filters
            .iter()
            .filter(move |filter| filter.kind == kind)
    }
}
