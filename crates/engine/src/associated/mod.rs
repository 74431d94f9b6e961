//! Provenances that come along with what they are about (`includeAssociatedData`, R-067 to R-071).
//!
//! Which these are is known only when everything else is exported, so such a job has parts, and each waits for
//! those before it as far as it must:
//!
//! ```text
//! read    every chunk of data notes what it exported
//! survey  every chunk of Provenances notes what they are about
//! match   (all have ended) the two are held against each other, a share of all hashes at a time
//! attach  (all have ended) every chunk of Provenances is read again, and those that were matched are exported
//! ```
//!
//! Notes are hashes in order, so each match reads a piece of each, and nobody ever holds them all.

mod attach;
mod matching;
mod notebook;
mod notes;
mod shelf;

pub(crate) use attach::{Attached, Taken, besides};
pub(crate) use notebook::Notebook;
pub(crate) use shelf::Shelf;

use std::borrow::Cow;

use sluice_fhir::{Provenances, ResourceType};
use sluice_model::{JobRecord, Scope, Selection, Work};

use crate::parts::{Cuts, Part};

/// Into how many shares hashes are cut, by their first 12 bits.
pub(crate) const BUCKETS: u32 = 1 << 12;

/// The parts of a job that asks for associated data; `None` if that is no more than it exports anyway.
pub(crate) fn parts(record: &JobRecord, target: u64) -> Option<Vec<Part<'_>>> {
    if !is_due(record) {
        return None;
    }
    let scope = &record.scope;
    let part = |scope, cuts, work, waits| Part {
        scope,
        cuts,
        work,
        target,
        waits,
    };
    let others = Cow::<Scope>::Owned(Scope {
        types: without_provenance(scope),
        ..scope.clone()
    });
    let named = asked_for(scope);
    let provenances = Cow::<Scope>::Owned(provenances_of(scope));
    let mut parts = Vec::new();
    if !others.types.is_empty() {
        parts.push(part(others, Cuts::Data, Work::Read, false));
    }
    if scope.since.is_some() && !named.types.is_empty() {
        parts.push(part(named, Cuts::Deletions, Work::Read, false));
    }
    let survey = (Cuts::Data, Work::Survey { survey: 0 }, false);
    let matching = (Cuts::Matches, Work::Match { from: 0, to: 0 }, true);
    let attach = (Cuts::Surveyed, Work::Attach { survey: 0 }, true);
    for (cuts, work, waits) in [survey, matching, attach] {
        parts.push(part(provenances.clone(), cuts, work, waits));
    }
    Some(parts)
}

/// All Provenances of the population: what comes along does so whatever its time.
pub(crate) fn provenances_of(scope: &Scope) -> Scope {
    Scope {
        types: vec![ResourceType::PROVENANCE],
        since: None,
        until: None,
        selection: Selection::default(),
        ..scope.clone()
    }
}

/// What was asked for: of nothing else is told what was deleted.
pub(crate) fn asked_for(scope: &Scope) -> Cow<'_, Scope> {
    match scope.selection.associated {
        Some(associated) if !associated.besides => Cow::Owned(Scope {
            types: without_provenance(scope),
            ..scope.clone()
        }),
        _ => Cow::Borrowed(scope),
    }
}

fn without_provenance(scope: &Scope) -> Vec<ResourceType> {
    let types = scope.types.iter().copied();
    types
        .filter(|kind| *kind != ResourceType::PROVENANCE)
        .collect()
}

/// Whether Provenances of a job come along that have to be found: not where all of the population are exported anyway,
/// so that all that are about anything exported are among them.
pub(crate) fn is_due(record: &JobRecord) -> bool {
    let scope = &record.scope;
    let mut filters = scope.selection.filters_of(ResourceType::PROVENANCE);
    scope.selection.associated.is_some_and(|associated| {
        associated.provenances == Provenances::Latest
            || !associated.besides
            || scope.since.is_some()
            || scope.until.is_some()
            || filters.next().is_some()
    })
}
