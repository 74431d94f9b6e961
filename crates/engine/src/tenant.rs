//! What the steps are made of: the ports of a deployment, and its tenants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::TenantId;
use sluice_ports::{Blobs, Clock, Entropy, Index, Message, PortError, Queue, Source};

use crate::{Duplicates, Metrics, TenantAccess};

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
    /// Counts and times what is done.
    pub metrics: Metrics,
}

impl Ports {
    /// Sends a hint, and counts it.
    pub(crate) async fn send(&self, message: Message) -> Result<(), PortError> {
        let (lane, begun) = (message.hint.lane(), tokio::time::Instant::now());
        let sent = self.queue.send(message).await;
        self.metrics.sent(lane, sent.is_ok(), begun.elapsed());
        sent
    }
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
    /// What happens to a request that is the same as one still running.
    pub duplicates: Duplicates,
    /// Exports that one client may have running at once; `None` for any number.
    pub most_running: Option<u32>,
    /// Exports that one client may start in an hour; `None` for any number.
    pub kickoffs_per_hour: Option<u32>,
    /// The tenant's weight where the dispatch window is divided.
    pub weight: u32,
    /// Whether data files are stored as gzip.
    pub gzip: bool,
    /// Per cent of chunks that may be missing from a job that still counts as complete.
    pub failed_percent: u32,
}

impl Default for Policy {
    /// What a tenant that says nothing wants.
    fn default() -> Self {
        Self {
            chunk_bytes: 128 << 20,
            file_bytes: 128 << 20,
            retention: Duration::from_hours(24),
            give_up_after: Duration::from_hours(24),
            duplicates: Duplicates::default(),
            most_running: None,
            kickoffs_per_hour: None,
            weight: 1,
            gzip: false,
            failed_percent: 0,
        }
    }
}

/// A healthcare organization: its data and its wishes.
#[derive(Clone)]
pub struct Tenant {
    /// Where its resources come from.
    pub source: Arc<dyn Source>,
    /// Its wishes.
    pub policy: Policy,
    /// Who may do what.
    pub access: Arc<TenantAccess>,
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
