//! Drives jobs: on every hint, and on every tick of the sweep.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sluice_engine::{Advance, Export, Rebuild, drive};
use sluice_model::{Hint, Lane};
use sluice_ports::{Queue, Settle};
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
    tokio::join!(
        drive(
            Arc::clone(&coordinator.queue),
            Lane::Jobs,
            settings.width,
            stop.clone(),
            advance(&coordinator),
        ),
        drive(
            Arc::clone(&coordinator.queue),
            Lane::Dead,
            1,
            stop.clone(),
            bury(&coordinator),
        ),
        sweep(Arc::clone(&coordinator), settings.sweep_every, stop.clone()),
        reconcile(coordinator, settings.reconcile_every, stop),
    );
}

type Handled = BoxFuture<'static, Settle>;

fn advance(coordinator: &Arc<Coordinator>) -> impl Fn(Hint, u32) -> Handled + use<> {
    let coordinator = Arc::clone(coordinator);
    move |hint, _attempt| {
        let coordinator = Arc::clone(&coordinator);
        Box::pin(async move { coordinator.advance.run(hint).await })
    }
}

fn bury(coordinator: &Arc<Coordinator>) -> impl Fn(Hint, u32) -> Handled + use<> {
    let coordinator = Arc::clone(coordinator);
    move |hint, _attempt| {
        let coordinator = Arc::clone(&coordinator);
        Box::pin(async move { coordinator.advance.bury(hint, &coordinator.export).await })
    }
}

/// Begins at once, so that what a restart interrupted goes on at once.
async fn sweep(coordinator: Arc<Coordinator>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = coordinator.advance.sweep(&stop).await {
            tracing::warn!(error = error.chain(), "a sweep failed");
        }
    }
}

async fn reconcile(coordinator: Arc<Coordinator>, every: Duration, stop: CancellationToken) {
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
