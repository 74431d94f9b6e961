//! Key sets that others publish, kept for as long as they say. A key that is not among them has them
//! fetched again, once a minute at most.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sluice_auth::Jwks;
use sluice_fhir::Instant;
use sluice_ports::{Clock, KeyFetch};
use tokio::sync::Mutex;

use crate::Metrics;

/// How long a set is kept whose server says nothing, and the longest whatever it says.
const USUAL: Duration = Duration::from_mins(5);
const LONGEST: Duration = Duration::from_hours(1);
/// Callers within this time share one answer, even one that is not to be kept: it is one moment.
const MOMENT: Duration = Duration::from_secs(1);
/// After a fetch that failed, and between fetches for the sake of a `kid` that is not in the set.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
const AFTER_UNKNOWN: Duration = Duration::from_mins(1);

/// Fetched key sets by their URL.
#[derive(Clone)]
pub struct KeySets {
    fetch: Arc<dyn KeyFetch>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    slots: Arc<std::sync::Mutex<HashMap<String, Arc<Mutex<Slot>>>>>,
}

#[derive(Default)]
struct Slot {
    keys: Option<Arc<Jwks>>,
    /// When the set was fetched, and when that was last tried.
    fetched: Option<Instant>,
    looked: Option<Instant>,
    good_until: Option<Instant>,
    failed_until: Option<Instant>,
}

impl KeySets {
    /// Nothing is fetched yet.
    pub fn new(fetch: Arc<dyn KeyFetch>, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self {
            fetch,
            clock,
            metrics,
            slots: Arc::default(),
        }
    }

    /// The set at a URL, in which `kid` is looked for. `None` when there is none that may be used now:
    /// an old one is not, if a new one cannot be had. One caller fetches, others wait for it.
    pub async fn find(&self, url: &str, kid: &str) -> Option<Arc<Jwks>> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(url.to_owned()).or_default())
        };
        let mut slot = slot.lock().await;
        let now = self.clock.now();
        let held_back = |until: Option<Instant>| until.is_some_and(|until| now < until);
        if slot.is_unknown(kid) && held_back(slot.looked.map(|at| at.plus(AFTER_UNKNOWN))) {
            return slot.keep(now);
        }
        if let Some(keys) = slot.keep(now).filter(|keys| keys.knows(kid)) {
            return Some(keys);
        }
        if held_back(slot.failed_until) {
            return None;
        }
        slot.looked = Some(now);
        let fetched = self.fetched(url).await;
        self.metrics.keys_fetched(fetched.is_some());
        let Some((keys, life)) = fetched else {
            slot.failed_until = Some(now.plus(AFTER_FAILURE));
            return slot.keep(now);
        };
        let keys = Arc::new(keys);
        slot.keys = Some(Arc::clone(&keys));
        slot.fetched = Some(now);
        slot.good_until = Some(now.plus(life.clamp(MOMENT, LONGEST)));
        Some(keys)
    }

    async fn fetched(&self, url: &str) -> Option<(Jwks, Duration)> {
        let fetched = self.fetch.fetch(url).await;
        let fetched = fetched
            .inspect_err(|error| {
                tracing::warn!(error = error.chain(), "a client's keys cannot be fetched");
            })
            .ok()?;
        let keys = Jwks::fetched(&fetched.body);
        let keys = keys
            .inspect_err(|problem| tracing::warn!(%problem, "fetched keys are of no use"))
            .ok()?;
        Some((keys, fetched.life.unwrap_or(USUAL)))
    }
}

impl Slot {
    /// Whether the last set that was fetched, old or not, has no such key.
    fn is_unknown(&self, kid: &str) -> bool {
        self.keys.as_ref().is_some_and(|keys| !keys.knows(kid))
    }

    /// The set, while it may be used. A clock that was set back ends that.
    fn keep(&self, now: Instant) -> Option<Arc<Jwks>> {
        let begun = self.fetched.is_some_and(|fetched| fetched <= now);
        let good = self.good_until.is_some_and(|until| now < until);
        self.keys.clone().filter(|_| begun && good)
    }
}
