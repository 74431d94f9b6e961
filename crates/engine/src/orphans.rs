//! Removes data files that no manifest names: of tries that lost the race for a receipt, of
//! workers that died, of outcomes written twice.

use std::collections::HashSet;
use std::time::Duration;

use sluice_model::{JobRef, layout};
use sluice_ports::PortError;

use crate::{Journal, Ports};

/// Looks at an ended job's files, now and then until it expires: a worker that was given up may
/// write late, so once is not enough.
pub(crate) async fn sweep_orphans(
    ports: &Ports,
    journal: &Journal,
    job: &JobRef,
    every: Duration,
) -> Result<(), PortError> {
    let name = format!("orphans/{job}");
    // Never released: it runs out when the next look is due.
    if ports.index.lease(&name, every).await?.is_none() {
        return Ok(());
    }
    let Some(manifest) = journal.manifest(job).await? else {
        return Ok(());
    };
    let mut named: HashSet<String> = manifest.files().map(|file| file.key.clone()).collect();
    let mut number = 1;
    // A job that failed may have offered files before.
    while let Some(page) = journal.manifest_page(job, number).await? {
        named.extend(page.files().map(|file| file.key.clone()));
        number += 1;
    }
    let removed = journal
        .delete_below_unless(&layout::data(job), |key| named.contains(key))
        .await?;
    ports.metrics.orphans_swept(removed);
    if removed > 0 {
        tracing::info!(%job, removed, "files that no manifest names are removed");
    }
    Ok(())
}
