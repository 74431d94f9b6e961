//! From binary COPY to blocks of lines: bodies are copied once and never looked into.

use bytes::{Bytes, BytesMut};
use sluice_fhir::ResourceType;
use sluice_ports::{Block, PortError};
use tokio::sync::mpsc;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 1 << 20;

/// What precedes the rows: a signature, flags, and how long an extension follows.
const HEADER: usize = 19;

/// Takes blocks until nobody wants more.
pub(crate) struct Outlet {
    sender: mpsc::Sender<Block>,
    kind: ResourceType,
    block: BytesMut,
    lines: u64,
}

/// Nobody listens any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unheard;

impl Outlet {
    pub(crate) fn new(sender: mpsc::Sender<Block>, kind: ResourceType) -> Self {
        Self {
            sender,
            kind,
            block: BytesMut::new(),
            lines: 0,
        }
    }

    /// What follows is of another type.
    pub(crate) async fn turn_to(&mut self, kind: ResourceType) -> Result<(), Unheard> {
        self.flush().await?;
        self.kind = kind;
        Ok(())
    }

    /// Adds a body as a line.
    pub(crate) async fn line(&mut self, body: &[u8]) -> Result<(), Unheard> {
        if body.len() >= BLOCK {
            self.flush().await?;
            for piece in body.chunks(BLOCK) {
                self.piece(piece).await?;
            }
            return self.end().await;
        }
        if self.block.len() + body.len() + 1 > BLOCK {
            self.flush().await?;
        }
        if self.block.capacity() == 0 {
            self.block.reserve(BLOCK);
        }
        self.block.extend_from_slice(body);
        self.block.extend_from_slice(b"\n");
        self.lines += 1;
        Ok(())
    }

    /// Adds a part of a line that comes in pieces; [`Outlet::end`] ends it. Nothing else may share its
    /// blocks, so what is there goes first.
    pub(crate) async fn piece(&mut self, piece: &[u8]) -> Result<(), Unheard> {
        if self.lines > 0 {
            self.flush().await?;
        }
        for part in piece.chunks(BLOCK) {
            self.block.extend_from_slice(part);
            if self.block.len() >= BLOCK {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Ends a line that came in pieces.
    pub(crate) async fn end(&mut self) -> Result<(), Unheard> {
        self.block.extend_from_slice(b"\n");
        self.lines = 1;
        self.flush().await
    }

    /// Sends a block made elsewhere.
    pub(crate) async fn block(&mut self, block: Block) -> Result<(), Unheard> {
        self.sender.send(block).await.map_err(|_| Unheard)
    }

    /// Sends what is there.
    pub(crate) async fn flush(&mut self) -> Result<(), Unheard> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.send().await
    }

    async fn send(&mut self) -> Result<(), Unheard> {
        let block = Block {
            kind: self.kind,
            bytes: self.block.split().freeze(),
            lines: std::mem::take(&mut self.lines),
        };
        self.sender.send(block).await.map_err(|_| Unheard)
    }
}

/// Rows of binary COPY, each a number and a body, out of pieces that end anywhere.
pub(crate) struct Rows {
    pending: BytesMut,
    is_begun: bool,
    is_over: bool,
}

/// A row: whose it is, and the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) owner: i64,
    pub(crate) body: Bytes,
}

impl Rows {
    pub(crate) fn new() -> Self {
        Self {
            pending: BytesMut::new(),
            is_begun: false,
            is_over: false,
        }
    }

    /// Takes a piece.
    pub(crate) fn feed(&mut self, piece: Bytes) {
        if self.pending.is_empty() {
            // Mostly a piece is a row; then nothing is copied.
            match piece.try_into_mut() {
                Ok(piece) => self.pending = piece,
                Err(piece) => self.pending.extend_from_slice(&piece),
            }
        } else {
            self.pending.extend_from_slice(&piece);
        }
    }

    /// The next whole row.
    pub(crate) fn next(&mut self) -> Result<Option<Row>, PortError> {
        if !self.is_begun {
            let Some(extension) = self.number(HEADER - 4) else {
                return Ok(None);
            };
            let header = HEADER + usize::try_from(extension).map_err(|_| strange())?;
            if self.pending.len() < header {
                return Ok(None);
            }
            drop(self.pending.split_to(header));
            self.is_begun = true;
        }
        let Some(columns) = self.pending.get(..2) else {
            return Ok(None);
        };
        match i16::from_be_bytes([columns[0], columns[1]]) {
            -1 => {
                self.is_over = true;
                return Ok(None);
            }
            2 => {}
            _ => return Err(strange()),
        }
        let (Some(first), Some(owner)) = (self.number(2), self.pending.get(6..14)) else {
            return Ok(None);
        };
        let owner = <[u8; 8]>::try_from(owner).map_err(|_| strange())?;
        let Some(length) = self.number(14) else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(|_| strange())?;
        if first != 8 {
            return Err(strange());
        }
        if self.pending.len() < 18 + length {
            return Ok(None);
        }
        drop(self.pending.split_to(18));
        Ok(Some(Row {
            owner: i64::from_be_bytes(owner),
            body: self.pending.split_to(length).freeze(),
        }))
    }

    /// Whether the end was seen: a stream that ends without it was cut off.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    fn number(&self, at: usize) -> Option<i32> {
        let bytes = self.pending.get(at..at + 4)?;
        <[u8; 4]>::try_from(bytes).ok().map(i32::from_be_bytes)
    }
}

fn strange() -> PortError {
    PortError::permanent("reading a slice", "this is not what binary COPY sends")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(rows: &[(i64, &[u8])]) -> Vec<u8> {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for (owner, body) in rows {
            bytes.extend(2_i16.to_be_bytes());
            bytes.extend(8_i32.to_be_bytes());
            bytes.extend(owner.to_be_bytes());
            bytes.extend(i32::try_from(body.len()).unwrap().to_be_bytes());
            bytes.extend(*body);
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    #[test]
    fn rows_are_found_wherever_the_pieces_end() {
        let bytes = copy(&[(64, b"{}"), (65, b""), (-1, b"{\"a\":1}")]);
        for size in 1..bytes.len() {
            let (mut rows, mut found) = (Rows::new(), Vec::new());
            for piece in bytes.chunks(size) {
                rows.feed(Bytes::copy_from_slice(piece));
                while let Some(row) = rows.next().unwrap() {
                    found.push((row.owner, row.body.to_vec()));
                }
            }
            assert!(rows.is_over());
            assert_eq!(found.len(), 3);
            assert_eq!(found[2], (-1, b"{\"a\":1}".to_vec()));
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_is_not_over() {
        let bytes = copy(&[(64, b"{}")]);
        let mut rows = Rows::new();
        rows.feed(Bytes::copy_from_slice(&bytes[..bytes.len() - 2]));
        assert!(rows.next().unwrap().is_some() && rows.next().unwrap().is_none());
        assert!(!rows.is_over());
    }

    #[tokio::test]
    async fn long_lines_stand_alone_and_short_ones_share() {
        let (sender, mut blocks) = mpsc::channel(16);
        let mut outlet = Outlet::new(sender, ResourceType::PATIENT);
        outlet.line(b"{}").await.unwrap();
        outlet.line(&vec![b'x'; BLOCK * 2 + 5]).await.unwrap();
        outlet.line(b"[]").await.unwrap();
        outlet.line(b"[]").await.unwrap();
        outlet.flush().await.unwrap();
        drop(outlet);
        let mut seen = Vec::new();
        while let Some(block) = blocks.recv().await {
            seen.push((block.bytes.len(), block.lines));
        }
        assert_eq!(seen, [(3, 1), (BLOCK, 0), (BLOCK, 0), (6, 1), (6, 2)]);
    }
}
