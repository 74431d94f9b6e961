//! Puts lines together that span blocks, for whoever has to read each.

use bytes::{Bytes, BytesMut};
use sluice_ports::{PortError, PortKind};

/// What is there of a line that has not ended.
#[derive(Debug, Default)]
pub(crate) struct WholeLines {
    begun: BytesMut,
}

impl WholeLines {
    /// The whole lines that a block ends; `None` if it ends none. A block of whole lines is not copied.
    pub(crate) fn of(&mut self, block: Bytes) -> Option<Bytes> {
        let ends = block.last() == Some(&b'\n');
        if ends && self.begun.is_empty() {
            return Some(block);
        }
        self.begun.extend_from_slice(&block);
        ends.then(|| self.begun.split().freeze())
    }

    /// Fails if the last line did not end.
    pub(crate) fn finish(&self) -> Result<(), PortError> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let action = "ending a slice in the middle of a line";
        Err(PortError::new(PortKind::Permanent, action))
    }
}
