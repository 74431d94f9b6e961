//! Cuts a scope into slices of about the target: one pass says how much there is of each type, and one a
//! step where a type that is too much is cut. Types that are not share slices.
//!
//! The sums decide only where the cuts are, and never what is left out: the slices of a type reach from
//! before its first key to beyond its last, so that what comes meanwhile lies in one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_model::{PlannedChunk, Scope, Tally};
use sluice_ports::{PlanStep, PortError, chunk_of, deletions_of, foreign};

use super::cohort::Cohort;
use super::part::{Key, Span};
use super::relation::Relation;
use crate::pack::Pack;
use crate::pool::Session;

/// Where planning stands: all that the next chunk depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cursor {
    /// How much there is of each type, in the order of the scope's.
    totals: Vec<Tally>,
    /// The type, by its number in the scope.
    kind: usize,
    /// From where on.
    from: Key,
    /// How much of the type lies before it.
    before: Tally,
    /// Whole types that wait for company.
    pack: Pack,
    /// What was deleted is planned too.
    is_over: bool,
}

/// A place where a type is cut, and how much of it lies before.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) at: Key,
    pub(super) before: Tally,
}

/// Where a type is cut, from some key on.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    pub(super) cuts: VecDeque<Cut>,
    /// How much there is in all, when all was looked at.
    pub(super) end: Tally,
}

/// What the cutting of a scope needs.
pub(super) struct Cutter<'a> {
    pub(super) session: &'a Session,
    pub(super) relation: &'a Relation,
    pub(super) scope: &'a Scope,
    pub(super) cohort: &'a Cohort,
    pub(super) target: u64,
}

impl Cutter<'_> {
    /// The next chunks.
    pub(super) async fn step(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let types = self.scope.exportable();
        let mut cursor = match cursor {
            Some(text) => serde_json::from_str(text).map_err(|_| foreign("cursor"))?,
            None => Cursor {
                totals: self.totals(&types).await?,
                kind: 0,
                from: Key::first(),
                before: Tally::default(),
                pack: Pack::default(),
                is_over: false,
            },
        };
        if cursor.totals.len() != types.len() {
            return Err(foreign("cursor"));
        }
        let mut chunks = Vec::new();
        let mut cuts = None;
        while chunks.len() < limit {
            let room = limit - chunks.len();
            match self.next(&types, &mut cursor, &mut cuts, room).await? {
                Some(chunk) => chunks.push(chunk),
                None => return Ok(PlanStep { chunks, next: None }),
            }
        }
        let is_over = cursor.kind == types.len()
            && cursor.pack.is_empty()
            && !self.has_deletions(&types, &cursor);
        let here = serde_json::to_string(&cursor).map_err(|_| foreign("cursor"))?;
        Ok(PlanStep {
            chunks,
            next: (!is_over).then_some(here),
        })
    }

    fn has_deletions(&self, types: &[ResourceType], cursor: &Cursor) -> bool {
        let can_tell = self.relation.deleted.is_some() && self.scope.since.is_some();
        can_tell && !cursor.is_over && !types.is_empty()
    }

    async fn next(
        &self,
        types: &[ResourceType],
        cursor: &mut Cursor,
        cuts: &mut Option<Cuts>,
        room: usize,
    ) -> Result<Option<PlannedChunk>, PortError> {
        while let Some(kind) = types.get(cursor.kind).copied() {
            let total = cursor.totals.get(cursor.kind).copied().unwrap_or_default();
            let is_whole = total.bytes <= self.target && cursor.from == Key::first();
            if !is_whole {
                if cuts.is_none() {
                    let found = self.cuts(kind, &cursor.from, cursor.before, room).await?;
                    *cuts = Some(found);
                }
                return piece(kind, cursor, cuts).map(Some);
            }
            let ready = cursor
                .pack
                .add((kind, total), self.target, &Span::whole())?;
            cursor.kind += 1;
            if ready.is_some() {
                return Ok(ready);
            }
        }
        if let Some(last) = cursor.pack.take(&Span::whole())? {
            return Ok(Some(last));
        }
        if !self.has_deletions(types, cursor) {
            return Ok(None);
        }
        cursor.is_over = true;
        Ok(Some(deletions_of(types.to_vec())))
    }
}

/// From where the plan stands to the next cut of the type, or to its end.
fn piece(
    kind: ResourceType,
    cursor: &mut Cursor,
    cuts: &mut Option<Cuts>,
) -> Result<PlannedChunk, PortError> {
    let cut = cuts.as_mut().and_then(|cuts| cuts.cuts.pop_front());
    let end = cuts.as_ref().map(|cuts| cuts.end).unwrap_or_default();
    let upto = cut.as_ref().map_or(end, |cut| cut.before);
    let expected = Tally {
        resources: upto.resources.saturating_sub(cursor.before.resources),
        bytes: upto.bytes.saturating_sub(cursor.before.bytes),
    };
    let from = std::mem::replace(&mut cursor.from, Key::first());
    cursor.before = Tally::default();
    let to = cut.map(|cut| {
        cursor.from = cut.at.clone();
        cursor.before = cut.before;
        cut.at
    });
    if to.is_none() {
        cursor.kind += 1;
        *cuts = None;
    }
    chunk_of(&[(kind, Span(from, to))], expected)
}
