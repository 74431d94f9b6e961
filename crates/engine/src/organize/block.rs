//! A block that is being written: kept until its size is known, or it is known to be large.

use bytes::{Bytes, BytesMut};
use sluice_ports::PortError;

use super::{Head, PATIENT};
use crate::chunk_files::ChunkFiles;

/// The most bytes of a block that are kept: what has more begins a file of its own, and goes there as it comes.
const KEPT: usize = 4 << 20;

/// One patient's block.
#[derive(Debug)]
pub(crate) struct OpenBlock {
    header: Bytes,
    kept: BytesMut,
    /// Whether anything in it is of the export: if not, it is none.
    is_chosen: bool,
    is_large: bool,
}

impl OpenBlock {
    /// Begins with a header and its Patient.
    pub(crate) fn new(head: &Head) -> Self {
        Self {
            header: head.header.clone(),
            kept: BytesMut::from(&head.patient[..]),
            is_chosen: false,
            is_large: false,
        }
    }

    /// Notes that something in it, the Patient perhaps, is of the export.
    pub(crate) fn choose(&mut self) {
        self.is_chosen = true;
    }

    /// Whether there is a block.
    pub(crate) fn is_chosen(&self) -> bool {
        self.is_chosen
    }

    /// Adds whole lines, or a part of one.
    pub(crate) async fn add(
        &mut self,
        files: &mut ChunkFiles,
        bytes: Bytes,
    ) -> Result<(), PortError> {
        self.is_chosen = true;
        if !self.is_large {
            if self.kept.len() + bytes.len() <= KEPT {
                self.kept.extend_from_slice(&bytes);
                return Ok(());
            }
            self.is_large = true;
            self.begin(files, None).await?;
        }
        files.add_to_block((PATIENT, &self.header), bytes).await
    }

    /// Writes what is kept of it, if there is a block.
    pub(crate) async fn end(mut self, files: &mut ChunkFiles) -> Result<(), PortError> {
        if !self.is_chosen || self.is_large {
            return Ok(());
        }
        let bytes = u64::try_from(self.kept.len()).ok();
        self.begin(files, bytes).await
    }

    /// Writes the header and what is kept: whole lines, and apart from them what there is of one that has not ended.
    async fn begin(&mut self, files: &mut ChunkFiles, bytes: Option<u64>) -> Result<(), PortError> {
        let header = (PATIENT, &self.header);
        files.begin_block(header, bytes).await?;
        let whole = memchr::memrchr(b'\n', &self.kept).map_or(0, |end| end + 1);
        let whole = self.kept.split_to(whole).freeze();
        let begun = std::mem::take(&mut self.kept).freeze();
        for bytes in [whole, begun] {
            files.add_to_block(header, bytes).await?;
        }
        Ok(())
    }
}
