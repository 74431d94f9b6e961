//! Compresses a body on its way out, off the threads that serve.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{Stream, StreamExt};
use sluice_ports::{ByteStream, PortError};

/// Fast, because the wire is usually faster than a thorough search for repeats.
const LEVEL: u32 = 1;

struct State {
    body: ByteStream,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

/// The same bytes as one gzip member.
pub(crate) fn gzip(body: ByteStream) -> impl Stream<Item = Result<Bytes, PortError>> {
    let encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    let state = State {
        body,
        encoder: Some(encoder),
    };
    futures::stream::unfold(state, step)
}

/// Pulls until there is something to send.
async fn step(mut state: State) -> Option<(Result<Bytes, PortError>, State)> {
    loop {
        let encoder = state.encoder.take()?;
        let next = match state.body.next().await {
            Some(Ok(bytes)) => Some(bytes),
            Some(Err(error)) => return Some((Err(error), state)),
            None => None,
        };
        let done = tokio::task::spawn_blocking(move || compress(encoder, next)).await;
        let output = match done {
            Ok(Ok((output, rest))) => {
                state.encoder = rest;
                output
            }
            Ok(Err(error)) => {
                return Some((
                    Err(PortError::transient("compressing a file", error)),
                    state,
                ));
            }
            Err(error) => {
                return Some((
                    Err(PortError::transient("compressing a file", error)),
                    state,
                ));
            }
        };
        if !output.is_empty() {
            return Some((Ok(output.into()), state));
        }
    }
}

/// What comes out for one piece of input, and the encoder unless that was the end.
type Compressed = (Vec<u8>, Option<GzEncoder<Vec<u8>>>);

fn compress(mut encoder: GzEncoder<Vec<u8>>, next: Option<Bytes>) -> std::io::Result<Compressed> {
    let Some(bytes) = next else {
        return Ok((encoder.finish()?, None));
    };
    encoder.write_all(&bytes)?;
    Ok((std::mem::take(encoder.get_mut()), Some(encoder)))
}
