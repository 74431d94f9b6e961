//! Processes over servers that outlive them: each may die at any call, and another takes its place.

use std::sync::Arc;
use std::time::Duration;

use sluice_coordinator::{Coordinator, CoordinatorSettings};
use sluice_engine::{
    Advance, AdvanceLimits, BlobsSink, Export, ExportLimits, Gate, Metrics, Pace, Policy, Ports,
    Rebuild, Relay, Tenant, Tenants,
};
use sluice_local::{MemoryIndex, MemoryQueue};
use sluice_ports::{Blobs, Index, PortError, Queue, Source};
use sluice_testkit::{Faults, Faulty, PausedClock, SeededEntropy};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Disk, tenant_id};

/// What processes share.
#[derive(Clone)]
pub struct Servers {
    /// Object storage.
    pub disk: Disk,
    /// The index.
    pub index: Arc<dyn Index>,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// Where resources come from.
    pub source: Arc<dyn Source>,
    /// What the tenant wants.
    pub policy: Policy,
    clock: Arc<PausedClock>,
}

impl Servers {
    /// New ones, with nothing in them.
    pub fn new(source: Arc<dyn Source>, policy: Policy) -> Self {
        let clock = Arc::new(PausedClock::default());
        Self {
            disk: Disk::default(),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            source,
            policy,
            clock,
        }
    }

    /// These servers as a process sees them whose calls go wrong as `faults` says.
    pub fn seen_through(&self, faults: &Faults, seed: u64) -> Result<(Ports, Tenants), PortError> {
        let blobs: Arc<dyn Blobs> = Arc::new(self.disk.0.clone());
        let ports = Ports {
            blobs: Arc::new(Faulty::new(blobs, faults)),
            index: Arc::new(Faulty::new(self.index.clone(), faults)),
            queue: Arc::new(Faulty::new(self.queue.clone(), faults)),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            metrics: Metrics::default(),
        };
        let tenant = Tenant {
            source: Arc::new(Faulty::new(self.source.clone(), faults)),
            policy: self.policy,
            access: Arc::default(),
        };
        Ok((ports, [(tenant_id()?, tenant)].into_iter().collect()))
    }
}

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Plans, hands out, finishes.
    Coordinator,
    /// Exports chunks.
    Worker,
}

/// A running program. Dropped, it is dead at once, and what it held goes back to the queue.
pub struct Process {
    _running: JoinSet<()>,
}

impl Process {
    /// Starts one.
    pub fn start(role: Role, ports: &Ports, tenants: &Tenants) -> Self {
        let mut running = JoinSet::new();
        let forever = CancellationToken::new();
        match role {
            Role::Coordinator => {
                running.spawn(sluice_coordinator::run(
                    coordinator(ports, tenants),
                    CoordinatorSettings {
                        sweep_every: Duration::from_secs(15),
                        reconcile_every: Duration::from_mins(1),
                        deliver_every: Duration::from_mins(1),
                        width: 3,
                    },
                    forever,
                ));
            }
            Role::Worker => {
                let pace = Pace {
                    width: 2,
                    grace: Duration::from_mins(1),
                };
                let export = export(ports, tenants);
                let until = (Gate::default(), forever);
                running.spawn(sluice_worker::run(export, ports.clone(), pace, until));
            }
        }
        Self { _running: running }
    }
}

fn export(ports: &Ports, tenants: &Tenants) -> Export {
    let limits = ExportLimits {
        retries: vec![Duration::from_secs(1); 3],
        ..ExportLimits::default()
    };
    Export::new(ports, tenants, limits)
}

fn coordinator(ports: &Ports, tenants: &Tenants) -> Coordinator {
    Coordinator {
        advance: Advance::new(ports, tenants, AdvanceLimits::default()),
        export: export(ports, tenants),
        rebuild: Rebuild::new(ports, tenants),
        relay: Relay::new(ports, Arc::new(BlobsSink::new(ports.blobs.clone()))),
        ports: ports.clone(),
    }
}
