//! A whole deployment in one process, made of the real steps over local adapters, with everything
//! that can go wrong under the control of a test.

mod client;
mod process;

pub use client::{Client, Ended};
pub use process::{Process, Role, Servers};

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use sluice_engine::{Policy, Rebuild};
use sluice_local::{Habits, MemoryBlobs, MemoryQueue};
use sluice_model::TenantId;
use sluice_ports::{PortError, Source};
use sluice_testkit::{Faults, SeededEntropy};

/// Lets a random while pass: moments at which everyone waits, and moments at which everyone works.
pub async fn some_time(dice: &SeededEntropy) {
    if dice.number().is_multiple_of(3) {
        tokio::time::sleep(Duration::from_millis(dice.number() % 90_000)).await;
    }
    for _ in 0..dice.number() % 3_000 {
        tokio::task::yield_now().await;
    }
}

/// How a world differs from a quiet one.
#[derive(Clone)]
pub struct Conditions {
    /// Calls that fail.
    pub faults: Faults,
    /// What the queue does wrong.
    pub habits: Habits,
    /// What the tenant wants.
    pub policy: Policy,
    /// For ids.
    pub seed: u64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            faults: Faults::default(),
            habits: Habits::default(),
            policy: Policy {
                chunk_bytes: 400,
                file_bytes: 300,
                retention: Duration::from_hours(1),
                give_up_after: Duration::from_hours(24),
                ..Policy::default()
            },
            seed: 1,
        }
    }
}

/// What survives the death of every process: the objects.
#[derive(Clone, Default)]
pub struct Disk(pub MemoryBlobs);

/// Processes over a disk. Dropped, all of them are dead at once.
pub struct World {
    client: Client,
    _running: [Process; 2],
}

impl World {
    /// Starts everything: rebuilds the index from the disk, then coordinates and works.
    pub async fn start(
        disk: &Disk,
        source: Arc<dyn Source>,
        conditions: &Conditions,
    ) -> Result<Self, PortError> {
        let mut servers = Servers::new(source, conditions.policy);
        servers.disk = disk.clone();
        servers.queue = Arc::new(MemoryQueue::with_habits(conditions.habits));
        let (ports, tenants) = servers.seen_through(&conditions.faults, conditions.seed)?;
        while let Err(error) = Rebuild::new(&ports, &tenants).all().await {
            if !error.is_transient() {
                return Err(error);
            }
        }
        let roles = [Role::Worker, Role::Coordinator];
        let running = roles.map(|role| Process::start(role, &ports, &tenants));
        Ok(Self {
            client: Client::new(ports, tenants, disk),
            _running: running,
        })
    }
}

impl Deref for World {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

fn tenant_id() -> Result<TenantId, PortError> {
    "default"
        .parse()
        .map_err(|error: sluice_model::InvalidId| PortError::permanent("naming a tenant", error))
}
