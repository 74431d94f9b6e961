//! Looks at what a process needs: for its readiness, its liveness and its gauges.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use sluice_engine::Ports;
use sluice_fhir::Instant;
use sluice_ports::PortError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Servers;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(15);
/// A figure older than this is not shown: none is better than a stale one.
const BELIEVED_FOR: Duration = Duration::from_secs(50);
/// A server that takes longer to answer counts as down.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clocks further apart make signed links fail.
const MOST_SKEW: Duration = Duration::from_mins(1);

/// What was seen at the last look.
#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    up: BTreeMap<&'static str, bool>,
    /// How far our clock is ahead of theirs, in seconds.
    skew: BTreeMap<&'static str, f64>,
}

/// Looks at the servers of a process.
#[derive(Clone)]
pub(crate) struct Watch {
    ports: Ports,
    servers: Servers,
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    pub(crate) fn new(ports: &Ports, servers: &Servers, meter: &Meter) -> Self {
        let watch = Self {
            ports: ports.clone(),
            servers: servers.clone(),
            seen: Arc::default(),
        };
        watch.show(meter);
        watch
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, meter: &Meter) {
        let watch = self.clone();
        let up = meter.u64_observable_gauge("dependency.up");
        let told = up.with_callback(move |gauge| {
            for (dependency, up) in watch.fresh(|seen| &seen.up) {
                gauge.observe(u64::from(up), &[KeyValue::new("dep", dependency)]);
            }
        });
        let _lives_with_the_meter = told.build();
        let watch = self.clone();
        let skew = meter.f64_observable_gauge("clock.skew").with_unit("s");
        let told = skew.with_callback(move |gauge| {
            for (dependency, skew) in watch.fresh(|seen| &seen.skew) {
                gauge.observe(skew, &[KeyValue::new("dep", dependency)]);
            }
        });
        let _lives_with_the_meter = told.build();
        let servers = self.servers.clone();
        let alive = meter.u64_observable_gauge("consumer.alive");
        let told = alive.with_callback(move |gauge| {
            for (lane, alive) in servers.consuming() {
                let lane = KeyValue::new("messaging.destination.name", lane.name());
                gauge.observe(u64::from(alive), &[lane]);
            }
        });
        let _lives_with_the_meter = told.build();
    }

    fn fresh<T: Copy>(
        &self,
        part: impl Fn(&Seen) -> &BTreeMap<&'static str, T>,
    ) -> BTreeMap<&'static str, T> {
        let seen = self.seen();
        let now = self.ports.clock.now();
        match seen.at {
            Some(at) if now.since(at) <= BELIEVED_FOR => part(&seen).clone(),
            _ => BTreeMap::new(),
        }
    }

    /// Looks now and then until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if stop.run_until_cancelled(self.look()).await.is_none() {
                return;
            }
        }
    }

    async fn look(&self) {
        let checked = self.check().await;
        let asked = self.servers.times(self.ports.clock.as_ref());
        let times = tokio::time::timeout(PATIENCE, asked).await;
        let mut skew = BTreeMap::new();
        for (dependency, ours, theirs) in times.unwrap_or_default() {
            let ahead = ours.since(theirs).as_secs_f64() - theirs.since(ours).as_secs_f64();
            skew.insert(dependency, ahead);
        }
        let up = checked.iter().map(|(name, found)| (*name, found.is_ok()));
        *self.seen() = Seen {
            at: Some(self.ports.clock.now()),
            up: up.collect(),
            skew,
        };
    }

    async fn check(&self) -> [(&'static str, Result<(), PortError>); 3] {
        let (index, objects) = tokio::join!(
            answered("asking the index", self.ports.index.is_marked()),
            answered("asking the store", self.ports.blobs.head("readiness")),
        );
        [
            ("queue", self.servers.check_queue()),
            ("index", index),
            ("objects", objects),
        ]
    }

    /// The servers that do not answer now, a line each.
    pub(crate) async fn down(&self) -> Vec<String> {
        let checked = self.check().await.into_iter();
        let failed = checked.filter_map(|(name, found)| Some((name, found.err()?)));
        let told = failed.map(|(name, error)| format!("{name}: {}", error.action));
        told.collect()
    }

    /// The servers that did not answer at the last look, a line each. Nobody is asked: whoever wants to know this will
    /// not wait for a server that hangs.
    pub(crate) fn seen_down(&self) -> Vec<String> {
        let up = self.fresh(|seen| &seen.up).into_iter();
        let down = up.filter(|(_, up)| !up);
        down.map(|(name, _)| format!("{name}: did not answer at the last look"))
            .collect()
    }

    /// The servers whose clock is too far from ours, a line each.
    pub(crate) fn skewed(&self) -> Vec<String> {
        let skew = self.fresh(|seen| &seen.skew).into_iter();
        let far = skew.filter(|(_, ahead)| ahead.abs() > MOST_SKEW.as_secs_f64());
        let told = far.map(|(name, ahead)| {
            format!("{name}: our clock is {ahead:.0} s ahead of its; set both by NTP")
        });
        told.collect()
    }

    /// Why only a restart would help, a line each.
    pub(crate) fn dead(&self) -> Vec<String> {
        let dead = self.servers.dead_lane();
        let told = dead.map(|lane| format!("the consumer of lane {} has ended", lane.name()));
        told.into_iter().collect()
    }
}

/// What is asked, if it is answered in time.
async fn answered<T>(
    action: &'static str,
    call: impl Future<Output = Result<T, PortError>>,
) -> Result<(), PortError> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map(|_| ()),
        Err(late) => Err(PortError::transient(action, late)),
    }
}
