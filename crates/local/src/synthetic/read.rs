//! Writes the lines of a slice, a block at a time and only when it is asked for.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use sluice_fhir::ResourceType;
use sluice_model::Slice;
use sluice_ports::{Block, BlockStream, PortError};

use super::groups::Group;
use super::lines;
use super::options::BLOCK;
use super::plan::rows;
use super::view::{Kind, View};

/// The blocks of a slice.
pub(super) fn blocks(view: View, slice: &Slice) -> Result<BlockStream, PortError> {
    let Some((part, rows)) = rows(&view, slice)? else {
        return Ok(futures::stream::empty().boxed());
    };
    let (first, each) = (view.options.read_wait, view.options.block_wait);
    let blocks: Box<dyn Iterator<Item = Block> + Send> = match part.kind {
        Kind::Group => {
            let groups = view.groups(&rows);
            Box::new(groups.flat_map(move |group| group_blocks(group, part.name)))
        }
        Kind::Observation | Kind::Patient => Box::new(Lines {
            view,
            name: part.name,
            kind: part.kind,
            rows,
        }),
    };
    let next = move |(mut blocks, waiting): (Box<dyn Iterator<Item = Block> + Send>, _)| async move {
        let block = blocks.next()?;
        wait(waiting + each).await;
        Some((Ok(block), (blocks, Duration::ZERO)))
    };
    Ok(futures::stream::unfold((blocks, first), next).boxed())
}

/// A Group has blocks of its own, for it may be longer than one.
fn group_blocks(group: Group, kind: ResourceType) -> impl Iterator<Item = Block> + Send {
    group.pieces("\n").map(move |bytes| Block {
        kind,
        lines: u64::from(bytes.ends_with(b"\n")),
        bytes,
    })
}

/// Even the shortest sleep lasts a millisecond.
async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// Rows that are yet to be written.
struct Lines {
    view: View,
    name: ResourceType,
    kind: Kind,
    rows: Range<u64>,
}

impl Iterator for Lines {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let bytes = self.view.options.bytes;
        let lines = (self.rows.end - self.rows.start).min(BLOCK / bytes);
        let end = self.rows.start + lines;
        let capacity = usize::try_from(lines * bytes).unwrap_or(0);
        let mut out = Vec::with_capacity(capacity);
        for row in self.rows.start..end {
            self.write(&mut out, row)?;
        }
        self.rows.start = end;
        (lines > 0).then(|| Block {
            kind: self.name,
            bytes: Bytes::from(out),
            lines,
        })
    }
}

impl Lines {
    /// Appends a line. All Observations of a patient come before those of the next.
    fn write(&self, out: &mut Vec<u8>, row: u64) -> Option<()> {
        let bytes = usize::try_from(self.view.options.bytes).ok()?;
        let each = u64::from(self.view.options.observations);
        match self.kind {
            Kind::Observation => {
                let patient = self.view.cohort.number(row / each)?;
                let number = u32::try_from(row % each).ok()? + 1;
                lines::observation(out, patient, number, bytes);
            }
            _ => lines::patient(out, self.view.cohort.number(row)?, bytes),
        }
        Some(())
    }
}
