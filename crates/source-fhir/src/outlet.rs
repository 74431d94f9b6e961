//! Lines into blocks of about 1 MiB, and blocks to whoever reads.

use bytes::{Bytes, BytesMut};
use sluice_fhir::ResourceType;
use sluice_ports::{Block, PortError};
use tokio::sync::mpsc::Sender;

use crate::failure::unheard;

/// Bytes of a block.
const BLOCK: usize = 1 << 20;

/// Where lines go.
pub(crate) struct Outlet {
    to: Sender<Block>,
    kind: ResourceType,
    bytes: BytesMut,
    lines: u64,
}

impl Outlet {
    pub(crate) fn new(to: Sender<Block>) -> Self {
        Self {
            to,
            kind: ResourceType::PATIENT,
            bytes: BytesMut::new(),
            lines: 0,
        }
    }

    /// Adds a line; lines of one type must come together.
    pub(crate) async fn line(&mut self, kind: ResourceType, line: &Bytes) -> Result<(), PortError> {
        if kind != self.kind || self.bytes.len() + line.len() + 1 > BLOCK {
            self.flush().await?;
        }
        self.kind = kind;
        if line.len() < BLOCK {
            self.bytes.extend_from_slice(line);
            self.bytes.extend_from_slice(b"\n");
            self.lines += 1;
            return Ok(());
        }
        let mut rest = line.clone();
        while rest.len() >= BLOCK {
            let bytes = rest.split_to(BLOCK);
            self.send(Block {
                kind,
                bytes,
                lines: 0,
            })
            .await?;
        }
        let mut last = BytesMut::from(&rest[..]);
        last.extend_from_slice(b"\n");
        self.send(Block {
            kind,
            bytes: last.freeze(),
            lines: 1,
        })
        .await
    }

    /// Sends what is there.
    pub(crate) async fn flush(&mut self) -> Result<(), PortError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let block = Block {
            kind: self.kind,
            bytes: self.bytes.split().freeze(),
            lines: std::mem::take(&mut self.lines),
        };
        self.send(block).await
    }

    /// Sends a block as it is.
    pub(crate) async fn send(&self, block: Block) -> Result<(), PortError> {
        self.to.send(block).await.map_err(|_| unheard())
    }
}
