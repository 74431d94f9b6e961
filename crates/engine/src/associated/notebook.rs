//! Takes notes of what passes through a chunk, and writes them down at its end.

use std::collections::HashSet;

use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_fhir::facts::{self, NoResource};
use sluice_model::{JobRecord, NotesOf, PlannedChunk, Work};
use sluice_ports::{Block, PortError, PortKind};

use super::attach::{Attached, besides};
use super::matching::matched;
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
        Some(Self::with(page))
    }

    /// Of what a block of an organized export holds.
    pub(crate) fn of_block() -> Self {
        Self::with(Page::Exported(Vec::new()))
    }

    /// Of what the Provenances of its patient are about.
    pub(crate) fn of_provenances() -> Self {
        Self::with(Page::About(Vec::new(), 0))
    }

    fn with(page: Page) -> Self {
        Self {
            lines: WholeLines::default(),
            page,
        }
    }

    /// Notes something exported.
    pub(crate) fn resource(&mut self, kind: ResourceType, id: &str) {
        if let Page::Exported(resources) = &mut self.page {
            resources.push(Resource::new(kind, id));
        }
    }

    /// Whether it notes anything.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.page {
            Page::Exported(resources) => resources.is_empty(),
            Page::About(about, _) => about.is_empty(),
        }
    }

    /// Which Provenances of a patient come along with what the patient's block holds: all that are about it lie in the
    /// same compartment.
    pub(crate) fn attached(self, block: Self, record: &JobRecord) -> Result<Attached, PortError> {
        self.lines.finish()?;
        block.lines.finish()?;
        let mut found = HashSet::new();
        if let (Page::Exported(resources), Page::About(about, survey), Some(associated)) =
            (block.page, self.page, record.scope.selection.associated)
        {
            let about = about.into_iter().map(|note| (note, survey)).collect();
            let matched = matched(associated.provenances, resources, about);
            found.extend(matched.into_iter().map(|(_, provenance)| provenance));
        }
        Ok(Attached::new(found, besides(record)))
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
