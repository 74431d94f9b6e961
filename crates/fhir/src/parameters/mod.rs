//! Kick-off parameters: from a query string or a Parameters body to a checked [`Kickoff`].
//!
//! Every problem of a request is found in one go, so a client is told all of them at once.

mod associated;
mod check;
mod files;
mod organize;
mod partial;
mod raw;
mod repeats;
mod selection;

pub use associated::Provenances;
pub use check::check;
pub(crate) use check::ignored;
pub(crate) use raw::entries;
pub use raw::{RawParameter, from_body, from_query};
pub use repeats::check_repeats;

use crate::elements::Elements;
use crate::search::Filter;
use crate::{Instant, Issue, Level, ResourceType};

/// Every parameter of `$export` that the guide names, in any of its versions.
pub const PARAMETERS: [&str; 12] = [
    "_elements",
    "_maximumFileSize",
    "_minimumFileSize",
    "_outputFormat",
    "_since",
    "_type",
    "_typeFilter",
    "_until",
    "allowPartialManifests",
    "includeAssociatedData",
    "organizeOutputBy",
    "patient",
];

/// Where the parameters came from and what the request may say.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Whose data is asked for.
    pub level: &'a Level,
    /// `Prefer: handling=lenient`: what is not supported is ignored and reported.
    pub lenient: bool,
    /// The FHIR base URL, without a slash at its end; absolute references must lie under it.
    pub base: &'a str,
}

/// A request that makes sense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kickoff {
    /// The types asked for, sorted; `None` when `_type` was absent.
    pub types: Option<Vec<ResourceType>>,
    /// `_since`, exclusive (T-025).
    pub since: Option<Instant>,
    /// `_until`, exclusive (T-026).
    pub until: Option<Instant>,
    /// Ids of the patients asked for, sorted; `None` when `patient` was absent.
    pub patients: Option<Vec<String>>,
    /// The queries of `_typeFilter`.
    pub filters: Vec<Filter>,
    /// What `_elements` asks for.
    pub elements: Elements,
    /// What `includeAssociatedData` asks for.
    pub associated: Option<Provenances>,
    /// `_minimumFileSize`, in bytes.
    pub minimum_file: Option<u64>,
    /// `_maximumFileSize`, in bytes.
    pub maximum_file: Option<u64>,
    /// `allowPartialManifests`: files may be offered while others are still written.
    pub partial_manifests: bool,
    /// `organizeOutputBy`: by the resources of which type files are organized.
    pub organize: Option<ResourceType>,
    /// What lenient handling let pass, for the `error` files.
    pub ignored: Vec<Issue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query of the system level.
    pub(super) fn ask(query: &str, lenient: bool) -> Result<Kickoff, Vec<Issue>> {
        let context = Context {
            level: &Level::System,
            lenient,
            base: "http://h/default/fhir",
        };
        check(&from_query(query).unwrap(), &context)
    }
}
