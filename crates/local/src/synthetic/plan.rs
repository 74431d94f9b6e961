//! Cuts a scope into slices by arithmetic, so that ten million patients cost no more than ten.

use std::ops::Range;

use sluice_model::{PlannedChunk, Slice, Work};
use sluice_ports::{PlanStep, PortError, foreign};

use super::view::{Part, View};

/// Where planning stands.
#[derive(Clone, Copy)]
struct Place {
    part: Part,
    /// The next row; there is one.
    row: u64,
}

/// The next chunks of a plan.
pub(super) fn step(
    view: &View,
    target: u64,
    limit: usize,
    cursor: Option<&str>,
) -> Result<PlanStep, PortError> {
    let mut place = match cursor {
        Some(text) => Some(read(view, text).ok_or_else(|| foreign("cursor"))?),
        None => view.parts.first().map(|part| Place {
            part: *part,
            row: 0,
        }),
    };
    let mut chunks = Vec::new();
    while let Some(here) = place.filter(|_| chunks.len() < limit) {
        let end = view.cut(&here.part, here.row, target);
        chunks.push(chunk(view, &here.part, &(here.row..end)));
        place = after(view, &here.part, end);
    }
    let next = place.map(|place| format!("{}/{}", place.part.name, place.row));
    Ok(PlanStep { chunks, next })
}

/// The place that a cursor names.
fn read(view: &View, text: &str) -> Option<Place> {
    let (name, row) = text.split_once('/')?;
    let part = view.parts.iter().find(|part| part.name.name() == name)?;
    let row = row.parse().ok().filter(|row| *row < part.rows)?;
    Some(Place { part: *part, row })
}

/// The same type from this row on, or else the next type.
fn after(view: &View, part: &Part, row: u64) -> Option<Place> {
    if row < part.rows {
        return Some(Place { part: *part, row });
    }
    let next = view.parts.iter().find(|next| next.name > part.name)?;
    Some(Place {
        part: *next,
        row: 0,
    })
}

fn chunk(view: &View, part: &Part, rows: &Range<u64>) -> PlannedChunk {
    PlannedChunk {
        work: Work::Read,
        slice: Slice {
            types: vec![part.name],
            range: format!("{}-{}", rows.start, rows.end),
            deleted: false,
        },
        expected: view.tally(part, rows),
    }
}

/// The type and the rows of a slice; `None` where the scope takes nothing, whatever was planned.
pub(super) fn rows(view: &View, slice: &Slice) -> Result<Option<(Part, Range<u64>)>, PortError> {
    if view.parts.is_empty() {
        return Ok(None);
    }
    let find = || {
        let [name] = slice.types.as_slice() else {
            return None;
        };
        let part = view.parts.iter().find(|part| part.name == *name)?;
        let (from, to) = slice.range.split_once('-')?;
        let rows = from.parse().ok()?..to.parse().ok()?;
        let is_there = rows.start < rows.end && rows.end <= part.rows;
        is_there.then_some((*part, rows))
    };
    find().map(Some).ok_or_else(|| foreign("slice"))
}
