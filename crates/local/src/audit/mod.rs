//! The audit for good on this machine: in a file, or on standard output for whoever collects that.

mod file;
mod stdout;

pub use file::FileSink;
pub use stdout::StdoutSink;

use bytes::Bytes;
use sluice_ports::PortError;

/// What is written by one call. Where the last one was cut off, the rest of that line is left alone
/// and a new one begun.
fn lines(events: &[Bytes], was_cut_off: bool) -> Vec<u8> {
    let size: usize = events.iter().map(|event| event.len() + 1).sum();
    let mut lines = Vec::with_capacity(size + 1);
    if was_cut_off {
        lines.push(b'\n');
    }
    for event in events {
        lines.extend_from_slice(event);
        lines.push(b'\n');
    }
    lines
}

/// Writes where that blocks nobody. A full disk is emptied, and a reader that went away comes back.
async fn blocking<F>(work: F) -> Result<(), PortError>
where
    F: FnOnce() -> std::io::Result<()> + Send + 'static,
{
    let failed = |error| PortError::transient("writing audit events", error);
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(failed),
        Err(error) => Err(PortError::transient("writing audit events", error)),
    }
}
