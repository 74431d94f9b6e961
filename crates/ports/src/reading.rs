//! From a reader to a stream of blocks: lines into blocks of about 1 MiB, read ahead of the one who takes
//! them.

use bytes::BytesMut;
use futures::StreamExt;
use sluice_fhir::ResourceType;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Block, BlockStream, PortError};

/// Bytes of a block.
pub const BLOCK: usize = 1 << 20;
/// Blocks read ahead of the one who takes them.
const AHEAD: usize = 2;

/// Takes blocks until nobody wants more.
pub struct Outlet {
    sender: mpsc::Sender<Block>,
    kind: ResourceType,
    block: BytesMut,
    lines: u64,
}

/// Nobody listens any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes what is read")]
pub struct Unheard;

impl From<Unheard> for PortError {
    fn from(unheard: Unheard) -> Self {
        Self::transient("handing over what was read", unheard)
    }
}

impl Outlet {
    /// To whoever takes from the other end; lines are of this type until it turns to another.
    pub fn new(sender: mpsc::Sender<Block>, kind: ResourceType) -> Self {
        Self {
            sender,
            kind,
            block: BytesMut::new(),
            lines: 0,
        }
    }

    /// What follows is of this type; lines of one type must come together.
    pub async fn turn_to(&mut self, kind: ResourceType) -> Result<(), Unheard> {
        if kind != self.kind {
            self.flush().await?;
            self.kind = kind;
        }
        Ok(())
    }

    /// Adds a body as a line.
    pub async fn line(&mut self, body: &[u8]) -> Result<(), Unheard> {
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
    pub async fn piece(&mut self, piece: &[u8]) -> Result<(), Unheard> {
        if self.lines > 0 {
            self.flush().await?;
        }
        let mut rest = piece;
        while !rest.is_empty() {
            let room = BLOCK.saturating_sub(self.block.len()).min(rest.len());
            let (part, left) = rest.split_at(room);
            self.block.extend_from_slice(part);
            if self.block.len() >= BLOCK {
                self.send().await?;
            }
            rest = left;
        }
        Ok(())
    }

    /// Ends a line that came in pieces.
    pub async fn end(&mut self) -> Result<(), Unheard> {
        self.block.extend_from_slice(b"\n");
        self.lines = 1;
        self.flush().await
    }

    /// Sends a block made elsewhere.
    pub async fn block(&mut self, block: Block) -> Result<(), Unheard> {
        self.sender.send(block).await.map_err(|_| Unheard)
    }

    /// Sends what is there.
    pub async fn flush(&mut self) -> Result<(), Unheard> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.send().await
    }

    async fn send(&mut self) -> Result<(), Unheard> {
        // A small one leaves the rest of its buffer to the next. What a large one would leave is too small for that: the
        // next would have to grow again and again.
        let bytes = if self.block.len() < BLOCK / 2 {
            self.block.split()
        } else {
            std::mem::take(&mut self.block)
        };
        let block = Block {
            kind: self.kind,
            bytes: bytes.freeze(),
            lines: std::mem::take(&mut self.lines),
        };
        self.sender.send(block).await.map_err(|_| Unheard)
    }
}

/// What a reader sends, as a stream. The end is only the end when the reader says that all went well;
/// `action` says what failed if it ends in no order. Whoever drops the stream ends the reader, wherever
/// it is.
pub fn blocks_of<F>(
    action: &'static str,
    reader: impl FnOnce(mpsc::Sender<Block>) -> F,
) -> BlockStream
where
    F: Future<Output = Result<(), PortError>> + Send + 'static,
{
    let (sender, blocks) = mpsc::channel(AHEAD);
    let reading = Reading {
        blocks,
        reader: Ended(tokio::spawn(reader(sender))),
        action,
    };
    futures::stream::unfold(Some(reading), next).boxed()
}

struct Reading {
    blocks: mpsc::Receiver<Block>,
    reader: Ended,
    action: &'static str,
}

/// A task that ends with whoever waits for it.
struct Ended(JoinHandle<Result<(), PortError>>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn next(reading: Option<Reading>) -> Option<(Result<Block, PortError>, Option<Reading>)> {
    let mut reading = reading?;
    if let Some(block) = reading.blocks.recv().await {
        return Some((Ok(block), Some(reading)));
    }
    let end = match (&mut reading.reader.0).await {
        Ok(end) => end,
        Err(error) => Err(PortError::transient(reading.action, error)),
    };
    end.err().map(|error| (Err(error), None))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[tokio::test]
    async fn a_reader_that_fails_is_no_end() {
        let stream = blocks_of("reading", async |sender: mpsc::Sender<Block>| {
            let mut outlet = Outlet::new(sender, ResourceType::PATIENT);
            outlet.line(b"{}").await?;
            outlet.flush().await?;
            Err(PortError::transient("reading", "the disk is gone"))
        });
        let found: Vec<_> = stream.collect().await;
        assert_eq!(found.len(), 2);
        assert!(found[0].is_ok() && found[1].is_err());
    }
}
