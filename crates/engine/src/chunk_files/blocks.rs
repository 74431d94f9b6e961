//! Files of blocks: each block is a header line and what belongs to it, and stays in one file if it can.

use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_ports::PortError;

use super::{ChunkFiles, broken, length};

impl ChunkFiles {
    /// Begins a block with its header. It goes into the open file if the rest of it, so many bytes, fits there, too;
    /// if not, or if how many is not known, it begins a new one.
    pub(crate) async fn begin_block(
        &mut self,
        (kind, header): (ResourceType, &Bytes),
        rest: Option<u64>,
    ) -> Result<(), PortError> {
        if let Some(open) = &self.open {
            if !open.between_lines {
                return Err(broken("ending a block in the middle of a line"));
            }
            let room = self.form.limit.saturating_sub(open.file.bytes);
            let bytes = rest.map(|rest| rest.saturating_add(length(header)));
            if bytes.is_some_and(|bytes| bytes <= room) {
                return self.append(kind, header.clone()).await;
            }
            self.close().await?;
        }
        self.begin_with(kind, header).await
    }

    /// Adds to the block that has begun: whole lines, or a part of one line. A file that is full ends between lines;
    /// the next one repeats the header, and the one before says which that is.
    pub(crate) async fn add_to_block(
        &mut self,
        (kind, header): (ResourceType, &Bytes),
        mut bytes: Bytes,
    ) -> Result<(), PortError> {
        while !bytes.is_empty() {
            let piece = self.open.as_ref();
            let piece = piece.map_or(0, |open| open.piece(kind, &bytes, self.form));
            if piece > 0 {
                self.append(kind, bytes.split_to(piece)).await?;
                continue;
            }
            self.close().await?;
            self.begin_with(kind, header).await?;
            if let (Some(ended), Some(open)) = (self.finished.last_mut(), &self.open) {
                ended.continues_in = Some(open.file.key.clone());
            }
        }
        Ok(())
    }

    /// Begins a file, in which at least one line follows the header.
    async fn begin_with(&mut self, kind: ResourceType, header: &Bytes) -> Result<(), PortError> {
        self.append(kind, header.clone()).await?;
        if let Some(open) = self.open.as_mut() {
            open.begins = length(header);
        }
        Ok(())
    }

    async fn append(&mut self, kind: ResourceType, bytes: Bytes) -> Result<(), PortError> {
        if self.open.is_none() {
            self.open = Some(self.begin(kind).await?);
        }
        if let Some(open) = self.open.as_mut() {
            self.resources += open.write(bytes).await?;
        }
        Ok(())
    }
}
