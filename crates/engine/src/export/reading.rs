//! Reads the slice of a chunk: chooses, takes notes, and copies blocks to files.

use bytes::Bytes;
use futures::StreamExt;
use sluice_fhir::ResourceType;
use sluice_model::{NotesOf, Work};
use sluice_ports::{Block, PortError};

use super::keeping::Watch;
use super::{Beside, Export, Task};
use crate::associated::{Notebook, Shelf};
use crate::chooser::Chooser;
use crate::chunk_files::ChunkFiles;
use crate::parts::scope_of;
use crate::settled::{admits, check};
use crate::told;

/// How a chunk begins.
enum Prepared {
    /// It is read, and this chooses.
    Reading(Option<Chooser>),
    /// It is done, for it reads nothing of the source.
    Matched(Option<(NotesOf, Bytes)>),
}

impl Export {
    /// Copies blocks to files; false when the job was withdrawn meanwhile, or another has the chunk.
    pub(super) async fn write(
        &self,
        task: &Task<'_>,
        files: &mut ChunkFiles,
        out: &mut Beside,
    ) -> Result<bool, PortError> {
        let mut watch = self.watch(task);
        let written = self.write_beside(&mut watch, (task, files), out).await;
        watch.end().await;
        written
    }

    async fn write_beside(
        &self,
        watch: &mut Watch<'_>,
        (task, files): (&Task<'_>, &mut ChunkFiles),
        out: &mut Beside,
    ) -> Result<bool, PortError> {
        let (source, slice) = (&task.tenant.source, &task.planned.slice);
        let scope = &task.record.scope;
        check(scope, slice)?;
        let Some(prepared) = watch.beside(self.prepare(task)).await else {
            return Ok(false);
        };
        let mut chooser = match prepared? {
            Prepared::Reading(chooser) => chooser,
            Prepared::Matched(notes) => {
                out.notes = notes;
                return Ok(true);
            }
        };
        let is_survey = matches!(task.planned.work, Work::Survey { .. });
        let mut notebook = Notebook::of(&task.record, &task.planned);
        let read_by = scope_of(&task.record, &task.planned);
        let Some(read) = watch.beside(source.read(&read_by, slice)).await else {
            return Ok(false);
        };
        let mut blocks = read?;
        loop {
            let Some(next) = watch.beside(blocks.next()).await else {
                return Ok(false);
            };
            let Some(block) = next else {
                if let Some(chooser) = &chooser {
                    chooser.finish()?;
                }
                out.notes = notebook.map_or(Ok(None), Notebook::finish)?;
                return Ok(true);
            };
            let mut block = block?;
            if block.kind == ResourceType::OPERATION_OUTCOME {
                told::listen(&block, &mut out.told)?;
                continue;
            }
            admits(scope, slice, block.kind)?;
            watch.so_far.bytes += u64::try_from(block.bytes.len()).unwrap_or(u64::MAX);
            if let Some(takes) = chooser.take_if(|chooser| chooser.concerns(block.kind)) {
                let (back, left) = choose(takes, block).await?;
                chooser = Some(back);
                let Some(left) = left else { continue };
                block = left;
            }
            if let Some(writing) = notebook.take() {
                notebook = Some(note(writing, block.clone()).await?);
            }
            if is_survey {
                continue;
            }
            let Some(added) = watch.beside(files.add(block)).await else {
                return Ok(false);
            };
            added?;
            watch.so_far.resources = files.resources();
        }
    }

    /// Whatever has to be there before a chunk is read, or instead of reading it.
    async fn prepare(&self, task: &Task<'_>) -> Result<Prepared, PortError> {
        let selection = &task.record.scope.selection;
        let slice = &task.planned.slice;
        let notes = Shelf {
            blobs: &*self.ports.blobs,
            journal: &self.journal,
            record: &task.record,
            barriers: &task.barriers,
        };
        Ok(match task.planned.work {
            Work::Match { from, to } => Prepared::Matched(notes.matched(from..to).await?),
            Work::Attach { survey } => {
                let attached = notes.attached(survey).await?;
                Prepared::Reading(Some(Chooser::attaching(selection, attached)))
            }
            Work::Survey { .. } => Prepared::Reading(None),
            // Of what is gone nobody can tell whether it would be chosen (T-033).
            _ if slice.deleted => Prepared::Reading(None),
            _ => Prepared::Reading(Chooser::new(selection, &slice.types)),
        })
    }
}

/// Another thread chooses; it gives the chooser back.
pub(super) async fn choose(
    mut chooser: Chooser,
    block: Block,
) -> Result<(Chooser, Option<Block>), PortError> {
    let work = move || chooser.block(block).map(|left| (chooser, left));
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| PortError::transient("choosing among resources", error))?
}

/// So does the taking of notes.
pub(super) async fn note(mut notebook: Notebook, block: Block) -> Result<Notebook, PortError> {
    let work = move || notebook.block(block).map(|()| notebook);
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| PortError::transient("noting what a chunk holds", error))?
}
