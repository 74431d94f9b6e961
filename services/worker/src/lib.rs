//! Drives chunks: takes hints from the queue and exports what they name, a slot each.

mod drain;

use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{Export, Gate, Pace, Ports, Received, drive};
use sluice_model::{Hint, Lane};
use sluice_runtime::{Probes, Process, Settings};
use sluice_wiring::{Deployment, Service};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

/// Exports chunks until told to stop, and takes none while the gate is closed; then finishes those in hand, if that takes no longer than the
/// pace allows.
pub async fn run(export: Export, ports: Ports, pace: Pace, until: (Gate, CancellationToken)) {
    let export = Arc::new(export);
    drive(ports, Lane::Chunks, pace, until, move |received| {
        let (export, span) = (Arc::clone(&export), span(&received));
        async move { export.run(received.hint, received.attempt).await }.instrument(span)
    })
    .await;
}

/// A chunk is a trace of its own, linked to the kick-off: an export of ten thousand chunks as one
/// trace would be of no use.
fn span(received: &Received) -> Span {
    let Hint::ExportChunk(job, chunk) = &received.hint else {
        return Span::none();
    };
    let attempt = received.attempt;
    let span = tracing::info_span!(
        parent: None, "export chunk", otel.kind = "consumer", %job, %chunk, attempt
    );
    if let Some(traceparent) = &received.traceparent {
        sluice_runtime::link(&span, traceparent);
    }
    span
}

/// The pace of a worker with so many slots.
pub fn pace(slots: usize, settings: &Settings) -> Pace {
    Pace {
        width: slots,
        grace: Duration::from_secs(u64::from(settings.worker.drain_seconds)),
    }
}

/// The process: opens what the settings name and exports until told to stop.
pub async fn serve(process: Process) -> anyhow::Result<()> {
    let gate = Gate::default();
    let drained = gate.clone();
    let more = |deployment: &Deployment, probes: Probes| {
        let api = drain::drain_api(drained.clone(), deployment.audit.clone());
        (probes.and_ready(drain::not_drained(drained)), vec![api])
    };
    let Some(service) = Service::open_with(&process, more).await? else {
        return Ok(());
    };
    let Process { settings, stop, .. } = process;
    let Deployment {
        ports,
        tenants,
        slots,
        ..
    } = &service.deployment;
    let export = Export::new(ports, tenants, Deployment::export_limits(&settings));
    let pace = pace(*slots, &settings);
    tracing::info!(slots, "exporting");
    run(export, ports.clone(), pace, (gate, stop)).await;
    service.close().await
}
