//! What operators have stopped handing out: everything, or a tenant's chunks. An object each in the store of
//! the journal, so that it outlives every process and the index.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_fhir::Instant;
use sluice_model::{TenantId, layout};
use sluice_ports::PortError;

use crate::{Gate, Ports};

/// Keys listed at a time.
const PAGE: usize = 1000;
/// How long a coordinator hands out chunks by what it saw: so long may a pause go unnoticed, and a store of many
/// chunks is not asked for each of them.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// What is handed out no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Nothing at all is.
    pub everything: bool,
    /// Nothing of these is.
    pub tenants: BTreeSet<TenantId>,
}

impl Pauses {
    /// Whether nothing of a tenant is handed out.
    pub fn stop(&self, tenant: &TenantId) -> bool {
        self.everything || self.tenants.contains(tenant)
    }

    /// As of now.
    pub(crate) async fn read(ports: &Ports) -> Result<Self, PortError> {
        let (mut pauses, mut after) = (Self::default(), None::<String>);
        loop {
            let prefix = layout::pauses();
            let listed = ports.blobs.list(prefix, after.as_deref(), PAGE).await?;
            for blob in &listed {
                match layout::paused(&blob.key) {
                    Some(None) => pauses.everything = true,
                    Some(Some(tenant)) => _ = pauses.tenants.insert(tenant),
                    None => {}
                }
            }
            if listed.len() < PAGE {
                return Ok(pauses);
            }
            after = listed.into_iter().last().map(|blob| blob.key);
        }
    }
}

/// What a coordinator last saw of it.
#[derive(Clone)]
pub(crate) struct KnownPauses {
    last: Arc<Mutex<Option<Sight>>>,
    dead: Gate,
}

struct Sight {
    pauses: Pauses,
    /// When the store was asked.
    at: Instant,
}

impl Default for KnownPauses {
    fn default() -> Self {
        Self {
            last: Arc::default(),
            dead: Gate::new(false),
        }
    }
}

impl KnownPauses {
    fn last(&self) -> MutexGuard<'_, Option<Sight>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last sight.
    pub(crate) fn known(&self) -> Option<Pauses> {
        self.last().as_ref().map(|sight| sight.pauses.clone())
    }

    /// Whether a tenant is paused, if the last sight is of the second before `now`. One of a time that is yet to
    /// come is not believed: the clock was set back, and nobody knows how old it is.
    pub(crate) fn stop(&self, tenant: &TenantId, now: Instant) -> Option<bool> {
        let last = self.last();
        let sight = last.as_ref()?;
        let is_fresh = sight.at <= now && now.since(sight.at) < BELIEVED_FOR;
        is_fresh.then(|| sight.pauses.stop(tenant))
    }

    /// Open while not everything is paused; closed until that is known.
    pub(crate) fn dead_gate(&self) -> Gate {
        self.dead.clone()
    }

    /// Notes what was seen when the store was asked at a time, and tells of changes.
    pub(crate) fn learn(&self, pauses: &Pauses, at: Instant) {
        let seen = Sight {
            pauses: pauses.clone(),
            at,
        };
        let mut last = self.last();
        let before = last.replace(seen).map(|sight| sight.pauses);
        if before.as_ref() != Some(pauses) {
            tell(&before.unwrap_or_default(), pauses);
        }
        self.dead.set(!pauses.everything);
    }
}

fn tell(before: &Pauses, now: &Pauses) {
    match (before.everything, now.everything) {
        (false, true) => tracing::warn!("the dispatch is paused; no chunk is handed out"),
        (true, false) => tracing::info!("the dispatch goes on"),
        _ => {}
    }
    for tenant in now.tenants.difference(&before.tenants) {
        tracing::warn!(%tenant, "the dispatch of a tenant is paused");
    }
    for tenant in before.tenants.difference(&now.tenants) {
        tracing::info!(%tenant, "the dispatch of a tenant goes on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a tenant is paused, so many milliseconds after the store was asked.
    fn stop_after(millis: i64) -> Option<bool> {
        let known = KnownPauses::default();
        let north: TenantId = "north".parse().unwrap();
        let pauses = Pauses {
            everything: false,
            tenants: BTreeSet::from([north.clone()]),
        };
        let at = Instant::from_millis(1_000_000);
        known.learn(&pauses, at);
        assert_eq!(known.stop(&"south".parse().unwrap(), at), Some(false));
        known.stop(&north, Instant::from_millis(1_000_000 + millis))
    }

    #[test]
    fn a_sight_is_believed_for_a_second_and_no_longer() {
        assert_eq!(stop_after(0), Some(true));
        assert_eq!(stop_after(999), Some(true));
        assert_eq!(stop_after(1_000), None);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_sight_last_longer() {
        assert_eq!(stop_after(-1), None);
        assert_eq!(stop_after(-3_600_000), None);
    }

    #[test]
    fn nothing_is_believed_before_the_first_sight() {
        let north = "north".parse().unwrap();
        let known = KnownPauses::default();
        assert_eq!(known.stop(&north, Instant::from_millis(0)), None);
    }
}
