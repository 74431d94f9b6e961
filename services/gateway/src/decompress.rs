//! Unpacks a stored file on its way out, for clients that want it plain or in part; off the threads
//! that serve.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;
use flate2::write::GzDecoder;
use futures::{Stream, StreamExt};
use sluice_ports::{ByteStream, PortError};

struct State {
    body: ByteStream,
    decoder: Option<GzDecoder<Vec<u8>>>,
    /// Bytes that are unpacked and not wanted before the first that is.
    skip: u64,
    /// Bytes still wanted.
    left: u64,
}

/// The bytes of a range of the plain form.
pub(crate) fn gunzip(
    body: ByteStream,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, PortError>> {
    let state = State {
        body,
        decoder: Some(GzDecoder::new(Vec::new())),
        skip: range.start,
        left: range.end - range.start,
    };
    futures::stream::unfold(state, step)
}

/// Pulls until there is something to send.
async fn step(mut state: State) -> Option<(Result<Bytes, PortError>, State)> {
    while state.left > 0 {
        let decoder = state.decoder.take()?;
        let packed = match state.body.next().await? {
            Ok(packed) => packed,
            Err(error) => return Some((Err(error), state)),
        };
        let unpacked = tokio::task::spawn_blocking(move || unpack(decoder, &packed)).await;
        match unpacked {
            Ok(Ok((plain, decoder))) => {
                state.decoder = Some(decoder);
                let wanted = state.cut(plain.into());
                if !wanted.is_empty() {
                    return Some((Ok(wanted), state));
                }
            }
            Ok(Err(error)) => return Some((Err(broken(error)), state)),
            Err(error) => return Some((Err(broken(error)), state)),
        }
    }
    None
}

impl State {
    fn cut(&mut self, mut plain: Bytes) -> Bytes {
        let length = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let before = self.skip.min(length(&plain));
        self.skip -= before;
        let mut wanted = plain.split_off(usize::try_from(before).unwrap_or(usize::MAX));
        wanted.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= length(&wanted);
        wanted
    }
}

fn unpack(
    mut decoder: GzDecoder<Vec<u8>>,
    packed: &[u8],
) -> std::io::Result<(Vec<u8>, GzDecoder<Vec<u8>>)> {
    decoder.write_all(packed)?;
    decoder.flush()?;
    Ok((std::mem::take(decoder.get_mut()), decoder))
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::permanent("unpacking a file", error)
}
