//! Key sets that others publish, kept for as long as they say and fetched no more often than
//! their keys change.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sluice_auth::Jwks;
use sluice_fhir::Instant;
use sluice_ports::{Clock, KeyFetch};
use tokio::sync::Mutex;

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
    slots: Arc<std::sync::Mutex<HashMap<String, Arc<Mutex<Slot>>>>>,
}

#[derive(Default)]
struct Slot {
    keys: Option<Arc<Jwks>>,
    fetched: Option<Instant>,
    good_until: Option<Instant>,
    failed_until: Option<Instant>,
}

impl KeySets {
    /// Nothing is fetched yet.
    pub fn new(fetch: Arc<dyn KeyFetch>, clock: Arc<dyn Clock>) -> Self {
        Self {
            fetch,
            clock,
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
        if let Some(keys) = slot.usable(kid, now) {
            return Some(keys);
        }
        if slot.failed_until.is_some_and(|until| now < until) {
            return None;
        }
        match self.fetched(url).await {
            Some((keys, life)) => {
                let keys = Arc::new(keys);
                slot.keys = Some(Arc::clone(&keys));
                slot.fetched = Some(now);
                slot.good_until = Some(now.plus(life.clamp(MOMENT, LONGEST)));
                Some(keys)
            }
            None => {
                slot.failed_until = Some(now.plus(AFTER_FAILURE));
                slot.keep(now)
            }
        }
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
    /// The set, unless it is old, or does not know the key and may have changed since.
    fn usable(&self, kid: &str, now: Instant) -> Option<Arc<Jwks>> {
        let keys = self.keep(now)?;
        let asked_just_now = self
            .fetched
            .is_some_and(|fetched| now < fetched.plus(AFTER_UNKNOWN));
        (keys.knows(kid) || asked_just_now).then_some(keys)
    }

    fn keep(&self, now: Instant) -> Option<Arc<Jwks>> {
        let good = self.good_until.is_some_and(|until| now < until);
        self.keys.clone().filter(|_| good)
    }
}
