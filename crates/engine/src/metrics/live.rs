//! Gauges of the jobs that run, as the last sweep of a coordinator saw them. A figure that is too
//! old is left out: none is better than a stale one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use sluice_fhir::Instant;
use sluice_model::TenantId;
use sluice_ports::Clock;

use crate::Pauses;

/// The work of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantWork {
    /// Chunks handed out and not done.
    pub outstanding: u64,
    /// Chunks planned and neither done nor handed out.
    pub backlog: u64,
}

/// The jobs that run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveJobs {
    /// How many are accepted and not planned to the end.
    pub accepted: u64,
    /// How many are planned and not ended.
    pub exporting: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Instant>,
    /// Chunks that may be handed out at once.
    pub window: u32,
    /// What operators have paused; nothing while that is not known.
    pub paused: Option<Pauses>,
    /// By tenant: an operator's own word, and few.
    pub work: BTreeMap<TenantId, TenantWork>,
}

struct Seen {
    jobs: LiveJobs,
    until: Instant,
}

/// The last sight, until it is too old.
#[derive(Clone, Default)]
struct LastSeen(Arc<Mutex<Option<Seen>>>);

impl LastSeen {
    fn read(&self, now: Instant, tell: impl FnOnce(&LiveJobs)) {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_ref().filter(|seen| now <= seen.until) {
            tell(&seen.jobs);
        }
    }
}

/// The gauges, and what they show.
#[derive(Default)]
pub(super) struct LiveGauges {
    seen: LastSeen,
    /// Absent where nothing is shown.
    clock: Option<Arc<dyn Clock>>,
}

impl LiveGauges {
    pub(super) fn new(meter: &Meter, clock: Arc<dyn Clock>) -> Self {
        let seen = LastSeen::default();
        let gauge = |name: &'static str, tell: fn(&LiveJobs, &dyn AsyncInstrument<u64>)| {
            let (seen, clock) = (seen.clone(), clock.clone());
            let gauge = meter.u64_observable_gauge(name);
            let told = gauge.with_callback(move |gauge| {
                seen.read(clock.now(), |jobs| tell(jobs, gauge));
            });
            let _lives_with_the_meter = told.build();
        };
        gauge("export.jobs.active", |jobs, gauge| {
            gauge.observe(jobs.accepted, &[KeyValue::new("state", "accepted")]);
            gauge.observe(jobs.exporting, &[KeyValue::new("state", "exporting")]);
        });
        gauge("export.dispatch.window", |jobs, gauge| {
            gauge.observe(jobs.window.into(), &[]);
        });
        gauge("export.dispatch.paused", |jobs, gauge| {
            let Some(paused) = &jobs.paused else {
                return;
            };
            gauge.observe(paused.everything.into(), &[KeyValue::new("tenant", "")]);
            for tenant in jobs.work.keys() {
                let is_paused = paused.tenants.contains(tenant);
                gauge.observe(is_paused.into(), &[tenant_label(tenant)]);
            }
        });
        gauge("export.chunks.outstanding", |jobs, gauge| {
            for (tenant, work) in &jobs.work {
                gauge.observe(work.outstanding, &[tenant_label(tenant)]);
            }
        });
        gauge("export.chunks.backlog", |jobs, gauge| {
            for (tenant, work) in &jobs.work {
                gauge.observe(work.backlog, &[tenant_label(tenant)]);
            }
        });
        show_age(meter, seen.clone(), clock.clone());
        let clock = Some(clock);
        Self { seen, clock }
    }

    pub(super) fn show(&self, jobs: LiveJobs, believed_for: Duration) {
        if let Some(clock) = &self.clock {
            let until = clock.now().plus(believed_for);
            let mut seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = Some(Seen { jobs, until });
        }
    }
}

/// It grows between two sweeps too, as it is worked out when it is asked for.
fn show_age(meter: &Meter, seen: LastSeen, clock: Arc<dyn Clock>) {
    let gauge = meter.f64_observable_gauge("export.oldest.active.job.age");
    let told = gauge.with_unit("s").with_callback(move |gauge| {
        let now = clock.now();
        seen.read(now, |jobs| {
            let age = jobs
                .oldest
                .map_or(Duration::ZERO, |oldest| now.since(oldest));
            gauge.observe(age.as_secs_f64(), &[]);
        });
    });
    let _lives_with_the_meter = told.build();
}

fn tenant_label(tenant: &TenantId) -> KeyValue {
    KeyValue::new("tenant", tenant.to_string())
}
