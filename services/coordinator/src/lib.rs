//! Drives jobs: on every hint, and on every tick of the sweep. And brings the audit to where it stays.

mod deliver;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use futures::future::BoxFuture;
use sluice_engine::{Advance, Export, Gate, Pace, Ports, Rebuild, Received, Relay, drive};
use sluice_model::{Hint, Lane};
use sluice_ports::Settle;
use sluice_runtime::{Process, Settings};
use sluice_wiring::{Deployment, Service};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use deliver::deliver;

/// How often and how many.
#[derive(Clone, Copy, Debug)]
pub struct CoordinatorSettings {
    /// Between two sweeps.
    pub sweep_every: Duration,
    /// Between two comparisons of the index with the journal.
    pub reconcile_every: Duration,
    /// Between two deliveries of audit events.
    pub deliver_every: Duration,
    /// Jobs advanced at once.
    pub width: usize,
}

impl CoordinatorSettings {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Self {
        let section = &settings.coordinator;
        let seconds = |number: u32| Duration::from_secs(u64::from(number));
        Self {
            sweep_every: seconds(section.sweep_seconds.get()),
            reconcile_every: seconds(section.reconcile_seconds.get()),
            deliver_every: seconds(settings.audit.deliver_seconds.get()),
            width: usize::try_from(section.width.get()).unwrap_or(1),
        }
    }
}

/// The steps that a coordinator takes.
pub struct Coordinator {
    /// Moves jobs along.
    pub advance: Advance,
    /// Ends chunks that nobody could export.
    pub export: Export,
    /// Finds jobs that the index lost.
    pub rebuild: Rebuild,
    /// Delivers audit events.
    pub relay: Relay,
    /// Brings hints, and counts.
    pub ports: Ports,
}

impl Coordinator {
    /// Moves the jobs of a deployment. Fails when its audit cannot be written where it should go.
    pub async fn open(deployment: &Deployment, settings: &Settings) -> anyhow::Result<Self> {
        let Deployment { ports, tenants, .. } = deployment;
        let limits = Deployment::export_limits(settings);
        let relay = Relay::new(ports, Arc::clone(&deployment.audit_sink));
        let sink = &settings.audit.sink;
        let tried = relay.check().await;
        tried.map_err(|error| anyhow!("audit.sink {sink}: {}", error.chain()))?;
        Ok(Self {
            advance: Advance::new(ports, tenants, Deployment::advance_limits(settings)),
            export: Export::new(ports, tenants, limits),
            rebuild: Rebuild::new(ports, tenants),
            relay,
            ports: ports.clone(),
        })
    }
}

/// The process: opens what the settings name and coordinates until told to stop.
pub async fn serve(process: Process) -> anyhow::Result<()> {
    let Some(service) = Service::open(&process).await? else {
        return Ok(());
    };
    let Process { settings, stop, .. } = process;
    let coordinator = Coordinator::open(&service.deployment, &settings).await?;
    tracing::info!("coordinating");
    let settings = CoordinatorSettings::of(&settings);
    Box::pin(run(coordinator, settings, stop)).await;
    service.close().await
}

/// Coordinates until told to stop.
pub async fn run(coordinator: Coordinator, settings: CoordinatorSettings, stop: CancellationToken) {
    let coordinator = Arc::new(coordinator);
    tokio::join!(
        drive(
            coordinator.ports.clone(),
            Lane::Jobs,
            pace(settings.width),
            (Gate::default(), stop.clone()),
            advance(&coordinator),
        ),
        drive(
            coordinator.ports.clone(),
            Lane::Dead,
            pace(1),
            // Left alone while everything is paused: whoever paused it may want them tried again.
            (coordinator.advance.dead_gate(), stop.clone()),
            bury(&coordinator),
        ),
        sweep(Arc::clone(&coordinator), settings.sweep_every, stop.clone()),
        deliver(
            coordinator.relay.clone(),
            settings.deliver_every,
            stop.clone()
        ),
        reconcile(coordinator, settings.reconcile_every, stop),
    );
}

/// Looking at a job is short; what is cut short is done again.
fn pace(width: usize) -> Pace {
    Pace {
        width,
        grace: Duration::from_secs(10),
    }
}

type Handled = BoxFuture<'static, Settle>;

fn advance(coordinator: &Arc<Coordinator>) -> impl Fn(Received) -> Handled + use<> {
    let coordinator = Arc::clone(coordinator);
    move |received| {
        let (coordinator, span) = (Arc::clone(&coordinator), span("advance job", &received));
        let work = async move { coordinator.advance.run(received.hint).await };
        Box::pin(work.instrument(span))
    }
}

fn bury(coordinator: &Arc<Coordinator>) -> impl Fn(Received) -> Handled + use<> {
    let coordinator = Arc::clone(coordinator);
    move |received| {
        let (coordinator, span) = (Arc::clone(&coordinator), span("bury chunk", &received));
        let work = async move {
            let Coordinator {
                advance, export, ..
            } = coordinator.as_ref();
            advance.bury(received.hint, export).await
        };
        Box::pin(work.instrument(span))
    }
}

/// A look at a job is a trace of its own, linked to the kick-off: there are as many as chunks.
fn span(name: &'static str, received: &Received) -> Span {
    let (Hint::AdvanceJob(job) | Hint::ExportChunk(job, _)) = &received.hint;
    let span = tracing::info_span!(
        parent: None, "coordinate", otel.name = name, otel.kind = "consumer", %job
    );
    if let Some(traceparent) = &received.traceparent {
        sluice_runtime::link(&span, traceparent);
    }
    span
}

/// Begins at once, so that what a restart interrupted goes on at once.
async fn sweep(coordinator: Arc<Coordinator>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Cut short anywhere, it is done again by whoever comes next.
        let begun = Instant::now();
        let sweep = coordinator.advance.sweep(&stop);
        match stop.run_until_cancelled(sweep).await {
            Some(Ok(())) => {
                // Until two more have failed to come, however long one takes.
                let believed_for = (every + begun.elapsed()) * 3;
                let jobs = coordinator.advance.live_jobs();
                coordinator.ports.metrics.show_live(jobs, believed_for);
            }
            Some(Err(error)) => tracing::warn!(error = error.chain(), "a sweep failed"),
            None => {}
        }
    }
}

async fn reconcile(coordinator: Arc<Coordinator>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once; whoever starts this has just compared.
    ticks.tick().await;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let all = coordinator.rebuild.all();
        match stop.run_until_cancelled(all).await {
            Some(Ok(0)) | None => {}
            Some(Ok(jobs)) => tracing::warn!(jobs, "jobs were missing from the index"),
            Some(Err(error)) => tracing::warn!(error = error.chain(), "reconciling failed"),
        }
        let unfinished = coordinator.rebuild.sweep_unfinished();
        if let Some(Err(error)) = stop.run_until_cancelled(unfinished).await {
            tracing::warn!(error = error.chain(), "freeing unfinished uploads failed");
        }
    }
}
