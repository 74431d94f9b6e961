//! Says which Provenances of a slice are exported.

use std::collections::HashSet;

use sluice_fhir::Provenances;
use sluice_fhir::facts::{self, NoResource};
use sluice_model::{JobRecord, Scope, Selection};

use super::notes::provenance;

/// The Provenances of one slice that come along, and how those are known that are exported anyway.
#[derive(Debug)]
pub(crate) struct Attached {
    matched: HashSet<u64>,
    /// Under which scope those are that were asked for as a type, if they were and if that counts.
    besides: Option<Scope>,
}

/// The scope of those that are exported whatever they are about, if there are such.
pub(crate) fn besides(record: &JobRecord) -> Option<Scope> {
    let associated = record.scope.selection.associated?;
    let widens = associated.besides && associated.provenances == Provenances::Relevant;
    widens.then(|| Scope {
        selection: Selection::default(),
        ..record.scope.clone()
    })
}

/// Whether a Provenance is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It is if it meets a query, or if there is none.
    IfChosen,
}

impl Attached {
    pub(super) fn new(matched: HashSet<u64>, besides: Option<Scope>) -> Self {
        Self { matched, besides }
    }

    /// Looks at one.
    pub(crate) fn takes(&self, line: &str) -> Result<Taken, NoResource> {
        if self.besides.is_none() && self.matched.is_empty() {
            return Ok(Taken::No);
        }
        let facts = facts::provenance(line)?;
        if self.matched.contains(&provenance(&facts.id)) {
            return Ok(Taken::Yes);
        }
        let is_asked = |scope: &Scope| scope.admits(facts.updated);
        Ok(if self.besides.as_ref().is_some_and(is_asked) {
            Taken::IfChosen
        } else {
            Taken::No
        })
    }
}
