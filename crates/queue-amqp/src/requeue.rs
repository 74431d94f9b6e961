//! Puts dead letters back to where they came from.

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use sluice_model::Lane;
use sluice_ports::PortError;

use crate::broker::{open_channel, within};
use crate::link::Link;
use crate::publisher::Publisher;
use crate::wire::{self, Parcel, Reading};

/// Looks at no more than so many; says how many went back. Each is published before it is
/// acknowledged. What cannot be read, or is newer than this build, goes back to the dead lane when
/// the channel closes, and so does everything after an error.
pub(crate) async fn requeue(
    publisher: &Publisher,
    consuming: &Link,
    most: u32,
) -> Result<u32, PortError> {
    let limit = publisher.limit;
    let connection = consuming.connection().await?;
    let channel = open_channel(&connection, limit).await?;
    let dead = publisher.topology.queue(Lane::Dead);
    let (mut moved, mut unread) = (0, 0);
    for _ in 0..most {
        let getting = channel.basic_get(dead.clone(), BasicGetOptions::default());
        let got = within(limit, "looking at a dead letter", getting).await?;
        let Some(got) = got else {
            break;
        };
        if pass_on(publisher, got.delivery).await? {
            moved += 1;
        } else {
            unread += 1;
        }
    }
    if unread > 0 {
        tracing::warn!(unread, "dead letters that this build cannot read stay");
    }
    let closing = channel.close(200, "requeued".into());
    within(limit, "closing a channel", closing).await?;
    Ok(moved)
}

/// Says whether it could be read.
async fn pass_on(publisher: &Publisher, dead: Delivery) -> Result<bool, PortError> {
    let Reading::Hint(hint, _) = wire::read(&dead.data) else {
        return Ok(false);
    };
    let trace = wire::traceparent(&dead.properties);
    let parcel = Parcel::pack(&hint, 0, trace, publisher.entropy.as_ref())?;
    let queue = publisher.topology.queue(hint.lane());
    publisher.publish(&queue, &parcel).await?;
    let acknowledging = dead.acker.ack(BasicAckOptions::default());
    within(
        publisher.limit,
        "acknowledging a dead letter",
        acknowledging,
    )
    .await?;
    Ok(true)
}
