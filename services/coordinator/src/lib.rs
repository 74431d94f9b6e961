//! Drives jobs: on every hint, and on every tick of the sweep.

use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{Advance, Export, Rebuild, drive};
use sluice_model::Lane;
use sluice_ports::Queue;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often and how many.
#[derive(Clone, Copy, Debug)]
pub struct CoordinatorSettings {
    /// Between two sweeps.
    pub sweep_every: Duration,
    /// Between two comparisons of the index with the journal.
    pub reconcile_every: Duration,
    /// Jobs advanced at once.
    pub width: usize,
}

/// The steps that a coordinator takes.
pub struct Coordinator {
    /// Moves jobs along.
    pub advance: Advance,
    /// Ends chunks that nobody could export.
    pub export: Export,
    /// Finds jobs that the index lost.
    pub rebuild: Rebuild,
    /// Brings hints.
    pub queue: Arc<dyn Queue>,
}

/// Coordinates until told to stop.
pub async fn run(coordinator: Coordinator, settings: CoordinatorSettings, stop: CancellationToken) {
    let coordinator = Arc::new(coordinator);
    let queue = || Arc::clone(&coordinator.queue);
    let hinted = drive(
        queue(),
        Lane::Jobs,
        settings.width,
        stop.clone(),
        |hint, _| {
            let coordinator = Arc::clone(&coordinator);
            async move { coordinator.advance.run(hint).await }
        },
    );
    let buried = drive(queue(), Lane::Dead, 1, stop.clone(), |hint, _| {
        let coordinator = Arc::clone(&coordinator);
        async move { coordinator.advance.bury(hint, &coordinator.export).await }
    });
    tokio::join!(
        hinted,
        buried,
        sweep(&coordinator, settings.sweep_every, &stop),
        reconcile(&coordinator, settings.reconcile_every, &stop),
    );
}

/// Begins at once, so that what a restart interrupted goes on at once.
async fn sweep(coordinator: &Coordinator, every: Duration, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = coordinator.advance.sweep().await {
            tracing::warn!(error = error.chain(), "a sweep failed");
        }
    }
}

async fn reconcile(coordinator: &Coordinator, every: Duration, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once; whoever starts this has just compared.
    ticks.tick().await;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match coordinator.rebuild.all().await {
            Ok(0) => {}
            Ok(jobs) => tracing::warn!(jobs, "jobs were missing from the index"),
            Err(error) => tracing::warn!(error = error.chain(), "reconciling failed"),
        }
    }
}
