//! What the steps are made of: the ports of a deployment, and its tenants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::TenantId;
use sluice_ports::{Blobs, Clock, Entropy, Index, Queue, Source};

/// The ports that all tenants share.
#[derive(Clone)]
pub struct Ports {
    /// Keeps the journal and the data.
    pub blobs: Arc<dyn Blobs>,
    /// Keeps the fast view.
    pub index: Arc<dyn Index>,
    /// Carries hints.
    pub queue: Arc<dyn Queue>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub entropy: Arc<dyn Entropy>,
}

/// What a tenant wants of its exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes of NDJSON that a chunk aims at.
    pub chunk_bytes: u64,
    /// Bytes after which a file ends at the next line.
    pub file_bytes: u64,
    /// How long a finished job's files stay.
    pub retention: Duration,
    /// How long a running job may take before it is given up.
    pub give_up_after: Duration,
    /// Per cent of chunks that may be missing from a job that still counts as complete.
    pub failed_percent: u32,
}

/// A healthcare organization: its data and its wishes.
#[derive(Clone)]
pub struct Tenant {
    /// Where its resources come from.
    pub source: Arc<dyn Source>,
    /// Its wishes.
    pub policy: Policy,
}

/// Every tenant served.
#[derive(Clone, Default)]
pub struct Tenants(Arc<BTreeMap<TenantId, Tenant>>);

impl Tenants {
    /// Looks one up.
    pub fn get(&self, id: &TenantId) -> Option<&Tenant> {
        self.0.get(id)
    }

    /// Their names.
    pub fn ids(&self) -> impl Iterator<Item = &TenantId> {
        self.0.keys()
    }
}

impl FromIterator<(TenantId, Tenant)> for Tenants {
    fn from_iter<I: IntoIterator<Item = (TenantId, Tenant)>>(tenants: I) -> Self {
        Self(Arc::new(tenants.into_iter().collect()))
    }
}
