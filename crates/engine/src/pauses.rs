//! What operators have stopped handing out: everything, or a tenant's chunks. An object each in the store of
//! the journal, so that it outlives every process and the index.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_model::{TenantId, layout};
use sluice_ports::PortError;

use crate::{Gate, Ports};

/// Keys listed at a time.
const PAGE: usize = 1000;

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
    known: Arc<Mutex<Option<Pauses>>>,
    dead: Gate,
}

impl Default for KnownPauses {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            dead: Gate::new(false),
        }
    }
}

impl KnownPauses {
    /// The last sight.
    pub(crate) fn known(&self) -> Option<Pauses> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Open while not everything is paused; closed until that is known.
    pub(crate) fn dead_gate(&self) -> Gate {
        self.dead.clone()
    }

    /// Notes what was seen, and tells of changes.
    pub(crate) fn learn(&self, seen: &Pauses) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(seen) {
            let before = known.replace(seen.clone()).unwrap_or_default();
            tell(&before, seen);
        }
        self.dead.set(!seen.everything);
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
