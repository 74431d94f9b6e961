//! Takes notes of what passes through a chunk, and writes them down at its end.

use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_fhir::facts::{self, NoResource};
use sluice_model::{JobRecord, NotesOf, PlannedChunk, Work};
use sluice_ports::{Block, PortError, PortKind};

use super::notes::{About, Resource, sorted};
use crate::parts::has_barriers;
use crate::whole_lines::WholeLines;

/// Notes of one chunk.
#[derive(Debug)]
pub(crate) struct Notebook {
    lines: WholeLines,
    page: Page,
}

#[derive(Debug)]
enum Page {
    Exported(Vec<Resource>),
    About(Vec<About>, u32),
}

impl Notebook {
    /// For a chunk whose notes somebody wants.
    pub(crate) fn of(record: &JobRecord, chunk: &PlannedChunk) -> Option<Self> {
        let page = match chunk.work {
            Work::Read if has_barriers(record) && !chunk.slice.deleted => {
                Page::Exported(Vec::new())
            }
            Work::Survey { survey } => Page::About(Vec::new(), survey),
            _ => return None,
        };
        Some(Self {
            lines: WholeLines::default(),
            page,
        })
    }

    /// Notes what a block is about.
    pub(crate) fn block(&mut self, block: Block) -> Result<(), PortError> {
        match self.lines.of(block.bytes) {
            Some(bytes) => self.note(block.kind, &bytes).map_err(wrong),
            None => Ok(()),
        }
    }

    fn note(&mut self, kind: ResourceType, bytes: &[u8]) -> Result<(), NoResource> {
        let text = std::str::from_utf8(bytes).map_err(|_| NoResource)?;
        for line in text.lines() {
            match &mut self.page {
                Page::Exported(resources) => {
                    resources.push(Resource::new(kind, &facts::identity(line)?));
                }
                Page::About(about, _) => about.extend(About::all(&facts::provenance(line)?)),
            }
        }
        Ok(())
    }

    /// What there is to write; `None` if nothing was seen.
    pub(crate) fn finish(self) -> Result<Option<(NotesOf, Bytes)>, PortError> {
        self.lines.finish()?;
        Ok(match self.page {
            Page::Exported(resources) if !resources.is_empty() => {
                Some((NotesOf::Exported, sorted(resources)))
            }
            Page::About(about, survey) if !about.is_empty() => {
                Some((NotesOf::About { survey }, sorted(about)))
            }
            _ => None,
        })
    }
}

/// What it was is not told: it is a patient's.
fn wrong(_: NoResource) -> PortError {
    PortError::new(PortKind::Permanent, "noting what a chunk holds")
}
