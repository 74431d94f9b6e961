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
    /// The same, where an operator wants them to wait.
    pub paused: u64,
    /// When the oldest running job was accepted.
    pub oldest: Option<Instant>,
    /// Since when nothing of a running job has been planned or done; of the one that has stood longest.
    pub still_since: Option<Instant>,
}

/// The jobs that run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveJobs {
    /// How many are accepted and not planned to the end.
    pub accepted: u64,
    /// How many are planned and not ended.
    pub exporting: u64,
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
        gauge("export.chunks.paused", |jobs, gauge| {
            for (tenant, work) in &jobs.work {
                gauge.observe(work.paused, &[tenant_label(tenant)]);
            }
        });
        let age = |name, since| show_age(meter, name, (seen.clone(), clock.clone()), since);
        age("export.oldest.active.job.age", |work| work.oldest);
        age("export.longest.standstill", |work| work.still_since);
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

/// How long ago something was, by tenant. It grows between two sweeps too, as it is worked out when it is asked for.
fn show_age(
    meter: &Meter,
    name: &'static str,
    (seen, clock): (LastSeen, Arc<dyn Clock>),
    since: fn(&TenantWork) -> Option<Instant>,
) {
    let gauge = meter.f64_observable_gauge(name);
    let told = gauge.with_unit("s").with_callback(move |gauge| {
        let now = clock.now();
        seen.read(now, |jobs| {
            for (tenant, work) in &jobs.work {
                let age = since(work).map_or(Duration::ZERO, |since| now.since(since));
                gauge.observe(age.as_secs_f64(), &[tenant_label(tenant)]);
            }
        });
    });
    let _lives_with_the_meter = told.build();
}

fn tenant_label(tenant: &TenantId) -> KeyValue {
    KeyValue::new("tenant", tenant.to_string())
}
