//! Exports a chunk of Patients, each in a block with what is in the Patient's compartment.

use bytes::Bytes;
use futures::TryStreamExt;
use sluice_fhir::{Issue, ResourceType};
use sluice_model::{Scope, Slice};
use sluice_ports::{Block, PortError};

use super::keeping::Watch;
use super::reading::{choose, note};
use super::{Export, Task};
use crate::associated::{self, Notebook};
use crate::chooser::Chooser;
use crate::chunk_files::ChunkFiles;
use crate::organize::{Head, OpenBlock, compartment_of, heads, provenances_of};
use crate::parts::scope_of;
use crate::settled::{admits, check};
use crate::told;
use crate::whole_lines::WholeLines;

/// Bytes that a slice of one compartment aims at: as few slices as there can be.
const SLICE: u64 = 1 << 30;
/// Slices asked for at once.
const SLICES: usize = 64;

/// Why a chunk is not finished.
enum Stop {
    /// The job was withdrawn, or another has the chunk.
    Pointless,
    /// The try failed.
    Failed(PortError),
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

/// Waits for things while it keeps the chunk.
struct Keeping<'a> {
    watch: Watch<'a>,
}

impl Keeping<'_> {
    async fn until<T>(
        &mut self,
        work: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, Stop> {
        match self.watch.beside(work).await {
            Some(done) => Ok(done?),
            None => Err(Stop::Pointless),
        }
    }
}

/// A chunk being written.
struct Organizing<'a, 'f> {
    keeping: Keeping<'a>,
    task: &'a Task<'a>,
    files: &'f mut ChunkFiles,
    told: &'f mut Vec<Issue>,
    /// What each block is read under; whose it is changes.
    scope: Scope,
    chooser: Option<Chooser>,
    /// Under which the Provenances of each patient are read, if any come along.
    provenances: Option<Scope>,
    /// Notes of what passes, if they do.
    notes: Option<Notebook>,
}

impl Export {
    /// Writes blocks; false when the job was withdrawn meanwhile, or another has the chunk.
    pub(super) async fn organize(
        &self,
        task: &Task<'_>,
        files: &mut ChunkFiles,
        told: &mut Vec<Issue>,
    ) -> Result<bool, PortError> {
        let scope = compartment_of(&task.record);
        let mut organizing = Organizing {
            keeping: Keeping {
                watch: self.watch(task),
            },
            task,
            files,
            told,
            chooser: Chooser::new(&scope.selection, &scope.types),
            scope,
            provenances: provenances_of(&task.record),
            notes: None,
        };
        let done = organizing.run().await;
        organizing.keeping.watch.end().await;
        match done {
            Ok(()) => Ok(true),
            Err(Stop::Pointless) => Ok(false),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

impl Organizing<'_, '_> {
    async fn run(&mut self) -> Result<(), Stop> {
        let patients = self.patients().await?;
        let selection = self.scope.selection.clone();
        let work = tokio::task::spawn_blocking(move || heads(&patients, &selection));
        let heads = work
            .await
            .map_err(|error| PortError::transient("reading the Patients of a chunk", error))??;
        for head in heads {
            let bytes = head.bytes;
            self.block(head).await?;
            let so_far = &mut self.keeping.watch.so_far;
            so_far.bytes += bytes;
            so_far.resources = self.files.resources();
        }
        Ok(())
    }

    /// The lines of the chunk's slice. All are read before anything else is: who kept the source waiting meanwhile
    /// might keep from it what it needs to answer about one of them.
    async fn patients(&mut self) -> Result<Vec<Bytes>, Stop> {
        let scope = scope_of(&self.task.record, &self.task.planned);
        let (source, slice) = (&self.task.tenant.source, &self.task.planned.slice);
        check(&scope, slice)?;
        let mut blocks = self.keeping.until(source.read(&scope, slice)).await?;
        let (mut lines, mut whole) = (Vec::new(), WholeLines::default());
        while let Some(block) = self.keeping.until(blocks.try_next()).await? {
            if self.is_told(&block)? {
                continue;
            }
            admits(&scope, slice, block.kind)?;
            lines.extend(whole.of(block.bytes));
        }
        whole.finish()?;
        Ok(lines)
    }

    async fn block(&mut self, head: Head) -> Result<(), Stop> {
        let mut block = OpenBlock::new(&head);
        // Otherwise the source says whether it is of the export.
        if head.is_chosen && !self.scope.types.contains(&ResourceType::PATIENT) {
            block.choose();
        }
        self.notes = self.provenances.as_ref().map(|_| Notebook::of_block());
        self.scope.patients = Some(vec![head.id.clone()]);
        self.compartment(Some(&mut block)).await?;
        if let (Some(notes), Some(scope)) = (self.notes.take(), self.provenances.clone()) {
            self.attach(&head.id, (notes, scope), &mut block).await?;
        }
        self.keeping.until(block.end(self.files)).await
    }

    /// Adds the Provenances that come along with what a block holds. Whether there is a block is known by then, but for
    /// Provenances that are exported whatever they are about.
    async fn attach(
        &mut self,
        patient: &str,
        (mut notes, mut scope): (Notebook, Scope),
        block: &mut OpenBlock,
    ) -> Result<(), Stop> {
        let record = &self.task.record;
        if block.is_chosen() {
            notes.resource(ResourceType::PATIENT, patient);
        }
        let widens = associated::besides(record).is_some();
        if notes.is_empty() && !widens {
            return Ok(());
        }
        scope.patients.clone_from(&self.scope.patients);
        let scope = std::mem::replace(&mut self.scope, scope);
        let chooser = self.chooser.take();
        self.notes = Some(Notebook::of_provenances());
        self.compartment(None).await?;
        if let Some(about) = self
            .notes
            .take()
            .filter(|about| widens || !about.is_empty())
        {
            let attached = about.attached(notes, record)?;
            self.chooser = Some(Chooser::attaching(&record.scope.selection, attached));
            self.compartment(Some(block)).await?;
        }
        (self.scope, self.chooser) = (scope, chooser);
        Ok(())
    }

    /// Reads what the scope has of one patient, into a block or for the notes alone.
    async fn compartment(&mut self, mut block: Option<&mut OpenBlock>) -> Result<(), Stop> {
        let (mut cursor, mut is_over) = (None, self.scope.types.is_empty());
        while !is_over {
            let source = &self.task.tenant.source;
            let step = source.plan(&self.scope, SLICE, SLICES, cursor.as_deref());
            let step = self.keeping.until(step).await?;
            // What was deleted is in files of its own.
            let slices = step.chunks.into_iter().map(|chunk| chunk.slice);
            for slice in slices.filter(|slice| !slice.deleted) {
                self.read(&slice, block.as_deref_mut()).await?;
            }
            cursor = step.next;
            is_over = cursor.is_none();
        }
        Ok(())
    }

    /// Adds what a slice holds of a compartment.
    async fn read(&mut self, slice: &Slice, mut block: Option<&mut OpenBlock>) -> Result<(), Stop> {
        let source = &self.task.tenant.source;
        let read = source.read(&self.scope, slice);
        let mut blocks = self.keeping.until(read).await?;
        while let Some(found) = self.keeping.until(blocks.try_next()).await? {
            if self.is_told(&found)? {
                continue;
            }
            admits(&self.scope, slice, found.kind)?;
            let Some(found) = self.chosen(found).await? else {
                continue;
            };
            if found.kind == ResourceType::PATIENT {
                // It heads the block already.
                if let Some(block) = &mut block {
                    block.choose();
                }
                continue;
            }
            if let Some(notes) = self.notes.take() {
                self.notes = Some(note(notes, found.clone()).await?);
            }
            let Some(block) = &mut block else { continue };
            let add = block.add(self.files, found.bytes);
            self.keeping.until(add).await?;
        }
        if let Some(chooser) = &self.chooser {
            chooser.finish()?;
        }
        Ok(())
    }

    async fn chosen(&mut self, block: Block) -> Result<Option<Block>, PortError> {
        let concerns = |chooser: &mut Chooser| chooser.concerns(block.kind);
        let Some(chooser) = self.chooser.take_if(concerns) else {
            return Ok(Some(block));
        };
        let (chooser, left) = choose(chooser, block).await?;
        self.chooser = Some(chooser);
        Ok(left)
    }

    /// Takes a block that tells something. A source tells the same of many patients: once is enough.
    fn is_told(&mut self, block: &Block) -> Result<bool, PortError> {
        if block.kind != ResourceType::OPERATION_OUTCOME {
            return Ok(false);
        }
        let mut heard = Vec::new();
        told::listen(block, &mut heard)?;
        heard.retain(|issue| !self.told.contains(issue));
        let room = told::MOST.saturating_sub(self.told.len());
        self.told.extend(heard.into_iter().take(room));
        Ok(true)
    }
}
