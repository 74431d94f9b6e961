//! Step 3. Hands out chunks, a window at a time, so that no job floods the queue and a huge one
//! does not starve a small one.

use sluice_model::{ChunkId, Hint, JobRecord};
use sluice_ports::{Message, PortError, Stale};

use crate::Ports;

/// How many chunks of a job may be handed out at once, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Chunks of this job.
    pub(crate) width: u32,
    /// When one is handed out again.
    pub(crate) stale: Stale,
}

/// Fills a job's window; says how many chunks that took.
pub(crate) async fn dispatch(
    ports: &Ports,
    record: &JobRecord,
    window: Window,
) -> Result<u32, PortError> {
    let job = &record.name;
    let chunks = ports
        .index
        .take_window(job, window.width, window.stale)
        .await?;
    let mut failed = None;
    let taken = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    for ordinal in chunks {
        let hint = Hint::ExportChunk(job.clone(), ChunkId::from_ordinal(ordinal));
        // One that is not sent counts as handed out until it is stale, and is then sent again.
        let message = Message {
            hint,
            traceparent: record.traceparent.clone(),
        };
        if let Err(error) = ports.send(message).await {
            failed = failed.or(Some(error));
        }
    }
    // The others are sent all the same: one that is not waits until it is stale.
    failed.map_or(Ok(taken), Err)
}
