//! What the steps count and time, named as `docs/METRICS.md` lists it. No label names a client, a
//! job or a patient.

mod access;
mod audit;
mod live;

pub use live::{LiveJobs, TenantWork};

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    Counter, Gauge, Histogram, Meter, MeterProvider, NoopMeterProvider, UpDownCounter,
};
use sluice_fhir::Level;
use sluice_model::{Lane, Receipt};
use sluice_ports::Clock;

use access::AccessInstruments;
use audit::AuditInstruments;
use live::LiveGauges;

use crate::{AuditAction, TokenFailure};

/// Seconds: from a hint's few milliseconds to a chunk's deadline.
const WORK_SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 240.0, 900.0,
];
/// Seconds: from a small export to a day.
const JOB_SECONDS: [f64; 10] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0,
];
const ATTEMPTS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 10.0];

/// Why chunks are given up.
const POISON: [&str; 3] = ["permanent", "retries", "queue"];
/// What is put right without anybody having asked for it.
const RECONCILE: [&str; 3] = ["index_rebuilt", "job_adopted", "upload_freed"];
/// How kick-offs are answered.
const KICKOFFS: [&str; 7] = [
    "accepted",
    "joined",
    "duplicate",
    "too_many",
    "refused",
    "unavailable",
    "source_not_ready",
];
/// How jobs end.
const ENDS: [&str; 4] = ["complete", "failed", "deleted", "expired"];

/// How a try at a chunk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkOutcome {
    /// With its receipt.
    Done,
    /// Another worker's receipt was first.
    Conflict,
    /// There was nothing to do: done before, withdrawn, or another is at it.
    Pointless,
    /// It failed and is tried again.
    Retried,
    /// Only a newer build can export it.
    PutOff,
    /// It failed, and its receipt says so.
    GivenUp,
}

impl ChunkOutcome {
    const ALL: [Self; 6] = [
        Self::Done,
        Self::Conflict,
        Self::Pointless,
        Self::Retried,
        Self::PutOff,
        Self::GivenUp,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Conflict => "conflict",
            Self::Pointless => "pointless",
            Self::Retried => "retried",
            Self::PutOff => "put_off",
            Self::GivenUp => "given_up",
        }
    }
}

/// The instruments of a process. Cloning is cheap.
#[derive(Clone)]
pub struct Metrics(Arc<Instruments>);

struct Instruments {
    kickoffs: Counter<u64>,
    jobs: Counter<u64>,
    job_duration: Histogram<f64>,
    chunks: Counter<u64>,
    chunk_duration: Histogram<f64>,
    chunk_attempts: Histogram<u64>,
    receipt_conflicts: Counter<u64>,
    poison: Counter<u64>,
    resources: Counter<u64>,
    bytes: Counter<u64>,
    orphans: Counter<u64>,
    reconciled: Counter<u64>,
    redelivered: Counter<u64>,
    stale_acks: Counter<u64>,
    sent: Counter<u64>,
    consumed: Counter<u64>,
    slots: Gauge<u64>,
    slots_busy: UpDownCounter<i64>,
    send_duration: Histogram<f64>,
    process_duration: Histogram<f64>,
    live: LiveGauges,
    audit: AuditInstruments,
    access: AccessInstruments,
}

/// Counts a slot as busy.
pub(crate) struct BusySlot(Metrics, Lane);

impl Drop for BusySlot {
    fn drop(&mut self) {
        self.0.0.slots_busy.add(-1, &[lane_label(self.1)]);
    }
}

impl Default for Metrics {
    /// Counts nothing.
    fn default() -> Self {
        Self(Arc::new(Instruments::new(
            &NoopMeterProvider::new().meter("sluice"),
            LiveGauges::default(),
        )))
    }
}

fn seconds(meter: &Meter, name: &'static str, bounds: &[f64]) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name).with_unit("s");
    histogram.with_boundaries(bounds.to_vec()).build()
}

impl Instruments {
    fn new(meter: &Meter, live: LiveGauges) -> Self {
        let counter = |name: &'static str| meter.u64_counter(name).build();
        let attempts = meter.u64_histogram("export.chunk.attempts");
        Self {
            kickoffs: counter("export.kickoffs"),
            jobs: counter("export.jobs"),
            job_duration: seconds(meter, "export.job.duration", &JOB_SECONDS),
            chunks: counter("export.chunks"),
            chunk_duration: seconds(meter, "export.chunk.duration", &WORK_SECONDS),
            chunk_attempts: attempts.with_boundaries(ATTEMPTS.to_vec()).build(),
            receipt_conflicts: counter("export.receipt.conflict"),
            poison: counter("export.poison"),
            resources: counter("export.resources"),
            bytes: counter("export.bytes"),
            orphans: counter("export.orphans.swept"),
            reconciled: counter("export.reconcile.actions"),
            redelivered: counter("export.redelivered"),
            stale_acks: counter("export.stale.ack"),
            sent: counter("messaging.client.sent.messages"),
            consumed: counter("messaging.client.consumed.messages"),
            slots: meter.u64_gauge("export.slots").build(),
            slots_busy: meter.i64_up_down_counter("export.slots.busy").build(),
            send_duration: seconds(meter, "messaging.client.operation.duration", &WORK_SECONDS),
            process_duration: seconds(meter, "messaging.process.duration", &WORK_SECONDS),
            live,
            audit: AuditInstruments::new(meter),
            access: AccessInstruments::new(meter),
        }
    }
}

fn label(key: &'static str, value: &'static str) -> KeyValue {
    KeyValue::new(key, value)
}

fn lane_label(lane: Lane) -> KeyValue {
    label("messaging.destination.name", lane.name())
}

fn send_labels(lane: Lane, well: bool) -> Vec<KeyValue> {
    let mut labels = vec![lane_label(lane), label("messaging.operation.name", "send")];
    if !well {
        labels.push(label("error.type", "not_confirmed"));
    }
    labels
}

fn level_label(level: &Level) -> KeyValue {
    label("level", level.name())
}

impl Metrics {
    /// Instruments of this meter.
    pub fn new(meter: &Meter, clock: Arc<dyn Clock>) -> Self {
        let live = LiveGauges::new(meter, clock);
        let metrics = Self(Arc::new(Instruments::new(meter, live)));
        metrics.begin_at_zero();
        metrics
    }

    /// What has not happened yet is shown as 0, so that the first time is seen as a rise.
    fn begin_at_zero(&self) {
        for counter in [&self.0.receipt_conflicts, &self.0.bytes, &self.0.orphans] {
            counter.add(0, &[]);
        }
        self.0.audit.begin_at_zero();
        self.0.access.begin_at_zero();
        for lane in [Lane::Jobs, Lane::Chunks, Lane::Dead] {
            for counter in [&self.0.redelivered, &self.0.stale_acks] {
                counter.add(0, &[lane_label(lane)]);
            }
        }
        for outcome in ChunkOutcome::ALL {
            self.0.chunks.add(0, &[label("outcome", outcome.name())]);
        }
        for class in POISON {
            self.0.poison.add(0, &[label("class", class)]);
        }
        for action in RECONCILE {
            self.0.reconciled.add(0, &[label("action", action)]);
        }
        for lane in [Lane::Jobs, Lane::Chunks, Lane::Dead] {
            for well in [true, false] {
                self.0.sent.add(0, &send_labels(lane, well));
            }
        }
        for level in ["system", "patient", "group"] {
            for outcome in KICKOFFS {
                let labels = [label("level", level), label("outcome", outcome)];
                self.0.kickoffs.add(0, &labels);
            }
            for outcome in ENDS {
                let labels = [label("level", level), label("outcome", outcome)];
                self.0.jobs.add(0, &labels);
            }
        }
    }

    /// Shows the jobs that run, for as long as they may be believed.
    pub fn show_live(&self, jobs: LiveJobs, believed_for: Duration) {
        self.0.live.show(jobs, believed_for);
    }

    pub(crate) fn kicked_off(&self, level: &Level, outcome: &'static str) {
        let labels = [level_label(level), label("outcome", outcome)];
        self.0.kickoffs.add(1, &labels);
    }

    pub(crate) fn job_ended(&self, level: &Level, outcome: &'static str, took: Option<Duration>) {
        let labels = [level_label(level), label("outcome", outcome)];
        self.0.jobs.add(1, &labels);
        if let Some(took) = took {
            self.0.job_duration.record(took.as_secs_f64(), &labels);
        }
    }

    pub(crate) fn chunk_tried(&self, outcome: ChunkOutcome, attempt: u32, took: Duration) {
        let labels = [label("outcome", outcome.name())];
        self.0.chunks.add(1, &labels);
        self.0.chunk_duration.record(took.as_secs_f64(), &labels);
        if matches!(outcome, ChunkOutcome::Done | ChunkOutcome::GivenUp) {
            let attempts = u64::from(attempt) + 1;
            self.0.chunk_attempts.record(attempts, &[]);
        }
        if outcome == ChunkOutcome::Conflict {
            self.0.receipt_conflicts.add(1, &[]);
        }
    }

    pub(crate) fn poisoned(&self, class: &'static str) {
        self.0.poison.add(1, &[label("class", class)]);
    }

    pub(crate) fn committed(&self, receipt: &Receipt) {
        for file in receipt.files.iter().chain(&receipt.deleted) {
            let kind = [label("type", file.kind.name())];
            self.0.resources.add(file.count, &kind);
            self.0.bytes.add(file.bytes, &[]);
        }
    }

    pub(crate) fn reconciled(&self, action: &'static str, times: usize) {
        if let Ok(times @ 1..) = u64::try_from(times) {
            self.0.reconciled.add(times, &[label("action", action)]);
        }
    }

    pub(crate) fn orphans_swept(&self, objects: usize) {
        self.0.orphans.add(u64::try_from(objects).unwrap_or(0), &[]);
    }

    pub(crate) fn sent(&self, lane: Lane, well: bool, took: Duration) {
        let labels = send_labels(lane, well);
        self.0.sent.add(1, &labels);
        self.0.send_duration.record(took.as_secs_f64(), &labels);
    }

    pub(crate) fn received(&self, lane: Lane, again: bool) {
        self.0.consumed.add(1, &[lane_label(lane)]);
        if again {
            self.0.redelivered.add(1, &[lane_label(lane)]);
        }
    }

    pub(crate) fn processed(&self, lane: Lane, took: Duration) {
        let labels = [lane_label(lane)];
        self.0.process_duration.record(took.as_secs_f64(), &labels);
    }

    /// So many messages of a lane may be handled at once.
    pub(crate) fn has_slots(&self, lane: Lane, slots: usize) {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        self.0.slots.record(slots, &[lane_label(lane)]);
        self.0.slots_busy.add(0, &[lane_label(lane)]);
    }

    /// A slot is busy until what is returned is dropped.
    pub(crate) fn busy_slot(&self, lane: Lane) -> BusySlot {
        self.0.slots_busy.add(1, &[lane_label(lane)]);
        BusySlot(self.clone(), lane)
    }

    pub(crate) fn lost_before_settled(&self, lane: Lane) {
        self.0.stale_acks.add(1, &[lane_label(lane)]);
    }

    pub(crate) fn audit_recorded(&self, action: AuditAction) {
        self.0.audit.recorded(action, 1);
    }

    pub(crate) fn audit_delivered(&self, events: usize) {
        self.0.audit.delivered(events);
    }

    pub(crate) fn audit_failed(&self) {
        self.0.audit.failed();
    }

    /// An event could not be written down, so that what it tells of did not happen.
    pub(crate) fn audit_not_written(&self) {
        self.0.audit.not_written();
    }

    /// A token request was answered: with a token, or for this reason not.
    pub fn token_asked(&self, failure: Option<&TokenFailure>) {
        self.0.access.asked(failure);
    }

    /// A key set was asked for, well or not.
    pub(crate) fn keys_fetched(&self, well: bool) {
        self.0.access.fetched(well);
    }

    /// Shows how many events wait; nothing where another process delivers.
    pub(crate) fn audit_waiting(&self, events: Option<usize>) {
        self.0.audit.waiting(events);
    }
}
