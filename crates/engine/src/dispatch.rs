//! Step 3. Hands out chunks, a window at a time, so that no job floods the queue and a huge one
//! does not starve a small one.

use futures::{StreamExt, stream};
use sluice_model::{ChunkId, Hint, JobRecord};
use sluice_ports::{Message, PortError, Stale};

use crate::Ports;

/// Hints on their way to the queue; it has a channel for each.
const SENT_AT_ONCE: usize = 16;

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
    let messages = chunks.into_iter().map(|ordinal| Message {
        hint: Hint::ExportChunk(job.clone(), ChunkId::from_ordinal(ordinal)),
        traceparent: record.traceparent.clone(),
    });
    // Each waits to hear that the queue has it, and none for the one before: hints have no order.
    let mut sent = stream::iter(messages)
        .map(|message| ports.send(message))
        .buffer_unordered(SENT_AT_ONCE);
    while let Some(sent) = sent.next().await {
        // One that is not sent counts as handed out until it is stale, and is then sent again.
        failed = failed.or(sent.err());
    }
    // The others are sent all the same: one that is not waits until it is stale.
    failed.map_or(Ok(taken), Err)
}
