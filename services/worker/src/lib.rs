//! Drives chunks: takes hints from the queue and exports what they name, a slot each.

use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{Export, Pace, drive};
use sluice_model::Lane;
use sluice_ports::Queue;
use sluice_runtime::Settings;
use sluice_wiring::{Deployment, Service};
use tokio_util::sync::CancellationToken;

/// Exports chunks until told to stop; then finishes those in hand, if that takes no longer than the
/// pace allows.
pub async fn run(export: Export, queue: Arc<dyn Queue>, pace: Pace, stop: CancellationToken) {
    let export = Arc::new(export);
    drive(queue, Lane::Chunks, pace, stop, move |hint, attempt| {
        let export = Arc::clone(&export);
        async move { export.run(hint, attempt).await }
    })
    .await;
}

/// The pace of a worker with so many slots.
pub fn pace(slots: usize, settings: &Settings) -> Pace {
    Pace {
        width: slots,
        grace: Duration::from_secs(u64::from(settings.worker.drain_seconds)),
    }
}

/// The process: opens what the settings name and exports until told to stop.
pub async fn serve(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(service) = Service::open(&settings, &stop).await? else {
        return Ok(());
    };
    let Deployment {
        ports,
        tenants,
        slots,
        ..
    } = &service.deployment;
    let export = Export::new(ports, tenants, Deployment::export_limits(&settings));
    let pace = pace(*slots, &settings);
    tracing::info!(slots, "exporting");
    run(export, ports.queue.clone(), pace, stop).await;
    service.close().await
}
