//! The clients in the store that the settings name, for a command beside the services.

use std::sync::Arc;

use sluice_engine::{Clients, Metrics, Ports};
use sluice_local::{MemoryIndex, MemoryQueue};
use sluice_ports::{Clock, Entropy};
use sluice_runtime::Settings;

use crate::open::blobs_beside;
use crate::{Servers, SystemClock, SystemEntropy};

/// Opens the objects alone, beside whatever else uses them: clients need neither index nor queue.
pub async fn registry(settings: &Settings) -> anyhow::Result<Clients> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (objects, mut servers) = (settings.data_dir.join("objects"), Servers::default());
    let ports = Ports {
        blobs: blobs_beside(settings, &objects, &mut servers, entropy.as_ref()).await?,
        index: Arc::new(MemoryIndex::new(clock.clone())),
        queue: Arc::new(MemoryQueue::default()),
        metrics: Metrics::default(),
        clock,
        entropy,
    };
    let tenants = settings.tenants.iter();
    let declared = tenants.map(|(id, tenant)| (id.clone(), tenant.clients.clone()));
    Ok(Clients::of(&ports, declared.collect()))
}
