//! Cuts a scope into slices: big types into several, small types together into one.

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_model::{PlannedChunk, Tally};
use sluice_ports::{PlanStep, PortError, chunk_of, foreign};

use super::view::{Step, View};

/// From a place up to but without another.
pub(super) type Span = (i64, i64);

/// Where planning stands: all that the next chunk depends on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The type, by its number in the scope.
    kind: usize,
    /// From where on.
    from: i64,
    /// Whole types that wait for company.
    pack: Vec<(ResourceType, i64, i64)>,
    /// How much those are.
    tally: Tally,
}

/// A piece of a type.
struct Piece {
    span: Span,
    tally: Tally,
    is_last: bool,
}

struct Cutter<'a> {
    view: &'a View<'a>,
    types: &'a [ResourceType],
    target: u64,
    cursor: Cursor,
}

/// The next chunks of a plan.
pub(super) fn step(
    view: &View<'_>,
    types: &[ResourceType],
    target: u64,
    limit: usize,
    cursor: Option<&str>,
) -> Result<PlanStep, PortError> {
    let cursor = match cursor {
        Some(text) => serde_json::from_str(text).map_err(|_| foreign("cursor"))?,
        None => Cursor::default(),
    };
    let mut cutter = Cutter {
        view,
        types,
        target,
        cursor,
    };
    let mut chunks = Vec::new();
    while chunks.len() < limit {
        match cutter.next()? {
            Some(chunk) => chunks.push(chunk),
            None => return Ok(PlanStep { chunks, next: None }),
        }
    }
    let here = serde_json::to_string(&cutter.cursor).map_err(|_| foreign("cursor"))?;
    let is_over = cutter.next()?.is_none();
    Ok(PlanStep {
        chunks,
        next: (!is_over).then_some(here),
    })
}

impl Cutter<'_> {
    fn next(&mut self) -> Result<Option<PlannedChunk>, PortError> {
        while let Some(kind) = self.types.get(self.cursor.kind).copied() {
            let piece = self.cut(kind)?;
            let is_whole = piece.is_last && self.cursor.from == 0;
            if piece.is_last {
                self.cursor.kind += 1;
                self.cursor.from = 0;
            } else {
                self.cursor.from = piece.span.1;
            }
            if piece.tally.resources == 0 {
                continue;
            }
            let (from, to) = piece.span;
            if !is_whole {
                return chunk_of(&[(kind, (from, to))], piece.tally).map(Some);
            }
            let full = self.cursor.tally.bytes + piece.tally.bytes > self.target;
            let ready = if full { self.unpack()? } else { None };
            self.cursor.pack.push((kind, from, to));
            self.cursor.tally += piece.tally;
            if ready.is_some() {
                return Ok(ready);
            }
        }
        self.unpack()
    }

    fn unpack(&mut self) -> Result<Option<PlannedChunk>, PortError> {
        let pack = std::mem::take(&mut self.cursor.pack);
        let tally = std::mem::take(&mut self.cursor.tally);
        if pack.is_empty() {
            return Ok(None);
        }
        let pack = pack.into_iter().map(|(kind, from, to)| (kind, (from, to)));
        chunk_of(&pack.collect::<Vec<(ResourceType, Span)>>(), tally).map(Some)
    }

    /// As much of a type as fits, from the cursor on; one resource always does.
    fn cut(&self, kind: ResourceType) -> Result<Piece, PortError> {
        let from = self.cursor.from;
        let mut piece = Piece {
            span: (from, from),
            tally: Tally::default(),
            is_last: true,
        };
        self.view.each(kind, (from, i64::MAX), |entry| {
            let bytes = entry.len + 1;
            if piece.tally.resources > 0 && piece.tally.bytes + bytes > self.target {
                piece.span.1 = entry.place;
                piece.is_last = false;
                return Ok(Step::Enough);
            }
            piece.tally += Tally {
                resources: 1,
                bytes,
            };
            piece.span.1 = entry.place + 1;
            Ok(Step::More)
        })?;
        Ok(piece)
    }
}
