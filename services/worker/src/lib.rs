//! Drives chunks: takes hints from the queue and exports what they name, a slot each.

use std::sync::Arc;

use sluice_engine::{Export, drive};
use sluice_model::Lane;
use sluice_ports::Queue;
use tokio_util::sync::CancellationToken;

/// Exports chunks, `slots` at a time, until told to stop; then finishes those in hand.
pub async fn run(export: Export, queue: Arc<dyn Queue>, slots: usize, stop: CancellationToken) {
    let export = Arc::new(export);
    drive(queue, Lane::Chunks, slots, stop, move |hint, attempt| {
        let export = Arc::clone(&export);
        async move { export.run(hint, attempt).await }
    })
    .await;
}
