//! The rows of binary COPY: bodies are never looked into.

use bytes::Bytes;
use sluice_ports::PortError;

/// What precedes the rows: a signature, flags, and how long an extension follows.
const HEADER: usize = 19;

/// Rows of binary COPY, each a number and a body, out of pieces that end anywhere.
pub(crate) struct Rows {
    pending: Bytes,
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
            pending: Bytes::new(),
            is_begun: false,
            is_over: false,
        }
    }

    /// Takes a piece.
    pub(crate) fn feed(&mut self, piece: Bytes) {
        // Mostly a piece is a row; then nothing is copied.
        self.pending = if self.pending.is_empty() {
            piece
        } else {
            [&self.pending[..], &piece[..]].concat().into()
        };
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
            body: self.pending.split_to(length),
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
}
