//! Messages that this version cannot read: put off when a newer one can, thrown away otherwise.

use std::sync::Arc;
use std::time::Duration;

use sluice_ports::PortError;

use crate::delivery::Hold;
use crate::publisher::Publisher;
use crate::wire::Parcel;

/// How long a message that could not be put off is kept: given back at once, it would be here
/// again at once, and soon at the broker's delivery limit.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// Puts a body off, as it is, for the longest step: by then a newer version may be here (H3).
pub(crate) async fn park(
    publisher: Arc<Publisher>,
    hold: Hold,
    body: Vec<u8>,
    traceparent: Option<String>,
) {
    let parked = async {
        let queue = publisher.topology.delay(hold.lane, Duration::MAX);
        let parcel = Parcel::sealed(body, traceparent, publisher.entropy.as_ref())?;
        publisher.publish(&queue, &parcel).await?;
        hold.ack(publisher.limit).await.map(|_| ())
    };
    if let Err(error) = parked.await {
        report(&error);
        tokio::time::sleep(PAUSE_AFTER_ERROR).await;
    }
}

/// Throws a message away. The dead lane could not read it either; if it was a hint, the sweep
/// finds what is due. Its content is not told: nobody knows what it is.
pub(crate) async fn discard(publisher: Arc<Publisher>, hold: Hold, size_bytes: usize) {
    let lane = hold.lane.name();
    tracing::error!(lane, size_bytes, "an unreadable message is thrown away");
    if let Err(error) = hold.ack(publisher.limit).await {
        report(&error);
    }
}

fn report(error: &PortError) {
    tracing::warn!(error = error.chain(), "an unreadable message comes back");
}
