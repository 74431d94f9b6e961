//! What stands in for the server adapters in a build without them: it says so.

use std::sync::Arc;

use anyhow::bail;
use sluice_fhir::Instant;
use sluice_model::Lane;
use sluice_ports::{Blobs, Clock, Entropy, Index, PortError, Queue};
use sluice_runtime::Settings;

use crate::Finding;

/// No servers.
#[derive(Clone, Default)]
pub struct Servers {}

/// How to get what is asked for.
const HOW: &str = "this sluice was built for one process; build it with `--features servers`, or use \
                   the programs sluice-gateway, sluice-coordinator and sluice-worker";

impl Servers {
    pub(crate) async fn index(&mut self, settings: &Settings) -> anyhow::Result<Arc<dyn Index>> {
        bail!("ports.index is {}: {HOW}", settings.ports.index)
    }

    pub(crate) async fn queue(
        &mut self,
        settings: &Settings,
        _slots: usize,
        _entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Arc<dyn Queue>> {
        bail!("ports.queue is {}: {HOW}", settings.ports.queue)
    }

    pub(crate) async fn blobs(
        &mut self,
        _place: &str,
        settings: &Settings,
    ) -> anyhow::Result<Arc<dyn Blobs>> {
        bail!("ports.blobs is {}: {HOW}", settings.ports.blobs)
    }

    pub(crate) async fn audit_blobs(
        &mut self,
        _place: &str,
        settings: &Settings,
    ) -> anyhow::Result<Arc<dyn Blobs>> {
        bail!("audit.sink is {}: {HOW}", settings.audit.sink)
    }

    /// There is nothing to try.
    pub async fn probe(&self, _clock: &dyn Clock) -> anyhow::Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    pub(crate) fn check_queue(&self) -> Result<(), PortError> {
        Ok(())
    }

    pub(crate) fn consuming(&self) -> Vec<(Lane, bool)> {
        Vec::new()
    }

    pub(crate) fn dead_lane(&self) -> Option<Lane> {
        None
    }

    pub(crate) async fn times(&self, _clock: &dyn Clock) -> Vec<(&'static str, Instant, Instant)> {
        Vec::new()
    }

    pub(crate) async fn close(&self) {}
}
