//! The queues: their names, their arguments, and declaring them.
//!
//! ```text
//! {prefix}.jobs, .chunks          quorum; a hint that comes back too often goes to .dead
//! {prefix}.dead                   quorum; read by coordinators
//! {prefix}.{lane}.delay.{ms}      quorum; holds a hint that long, then puts it back on its lane
//! ```

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{Channel, Connection};
use sluice_model::Lane;
use sluice_ports::PortError;
use tokio::sync::Mutex;

use crate::AmqpOptions;
use crate::broker::{open_channel, within};

const LANES: [Lane; 3] = [Lane::Jobs, Lane::Chunks, Lane::Dead];

/// A broker of 4.0 or later drops after 20 deliveries unless told otherwise, and behind the dead
/// lane there is no other. 3.10 knows no "never".
const PRACTICALLY_NEVER: u32 = 1_000_000;

/// What this deployment declares on its broker.
pub(crate) struct Topology {
    prefix: String,
    /// In milliseconds, ascending, never empty.
    steps: Vec<u64>,
    delivery_limit: u32,
    limit: Duration,
    /// One declaration at a time: a burst of returned messages makes one storm less.
    declaring: Mutex<()>,
}

impl Topology {
    pub(crate) fn new(options: &AmqpOptions) -> Self {
        let millis = |step: &Duration| u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
        let mut steps: Vec<u64> = options.retry_ladder.iter().map(millis).collect();
        steps.sort_unstable();
        steps.dedup();
        Self {
            prefix: options.prefix.clone(),
            steps,
            delivery_limit: options.delivery_limit,
            limit: options.confirm_timeout,
            declaring: Mutex::default(),
        }
    }

    /// The queue of a lane.
    pub(crate) fn queue(&self, lane: Lane) -> ShortString {
        format!("{}.{}", self.prefix, lane.name()).into()
    }

    /// The queue that brings a message back to a lane after the shortest step that is no shorter
    /// than `wait`, or else the longest.
    pub(crate) fn delay(&self, lane: Lane, wait: Duration) -> ShortString {
        let long_enough = |step: &&u64| Duration::from_millis(**step) >= wait;
        let step = self.steps.iter().find(long_enough);
        let step = step.or(self.steps.last()).copied().unwrap_or_default();
        self.delay_queue(lane, step)
    }

    fn delay_queue(&self, lane: Lane, step: u64) -> ShortString {
        format!("{}.{}.delay.{step}", self.prefix, lane.name()).into()
    }

    /// Declares every queue; says which one exists with other arguments.
    pub(crate) async fn declare(&self, connection: &Connection) -> Result<(), PortError> {
        let _one_at_a_time = self.declaring.lock().await;
        let channel = open_channel(connection, self.limit).await?;
        for (queue, arguments) in self.queues() {
            let action = format!("declaring queue {queue}");
            let options = QueueDeclareOptions::durable();
            let declared = channel.queue_declare(queue, options, arguments);
            within(self.limit, &action, declared).await?;
        }
        let closed = channel.close(200, "declared".into());
        within(self.limit, "closing a channel", closed).await
    }

    /// How many messages wait on a lane, as the broker counts them: late (T12). Those that are held
    /// or delayed do not count.
    pub(crate) async fn count(&self, channel: &Channel, lane: Lane) -> Result<u32, PortError> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::durable()
        };
        let queue = self.queue(lane);
        let action = format!("counting queue {queue}");
        let counting = channel.queue_declare(queue, passive, FieldTable::default());
        let counted = within(self.limit, &action, counting).await?;
        Ok(counted.message_count())
    }

    /// Dead first: what others refer to is there before them.
    fn queues(&self) -> Vec<(ShortString, FieldTable)> {
        let mut queues = vec![(self.queue(Lane::Dead), counted(PRACTICALLY_NEVER))];
        for lane in [Lane::Jobs, Lane::Chunks] {
            let mut arguments = counted(self.delivery_limit);
            add_dead_letter_target(&mut arguments, &self.queue(Lane::Dead));
            queues.push((self.queue(lane), arguments));
        }
        for lane in LANES {
            for &step in &self.steps {
                let mut arguments = quorum();
                let time = i64::try_from(step).unwrap_or(i64::MAX);
                arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(time));
                add_dead_letter_target(&mut arguments, &self.queue(lane));
                queues.push((self.delay_queue(lane, step), arguments));
            }
        }
        queues
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn counted(limit: u32) -> FieldTable {
    let mut arguments = quorum();
    let limit = AMQPValue::LongLongInt(limit.into());
    arguments.insert("x-delivery-limit".into(), limit);
    arguments
}

/// At least once needs all four: without `reject-publish` the broker silently falls back to at
/// most once.
fn add_dead_letter_target(arguments: &mut FieldTable, target: &ShortString) {
    for (key, value) in [
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", target.as_str()),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(key.into(), text(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_takes_the_shortest_step_that_is_long_enough() {
        let topology = Topology::new(&AmqpOptions::new("amqp://localhost"));
        for (wait, queue) in [
            (0, "sluice.chunks.delay.5000"),
            (5, "sluice.chunks.delay.5000"),
            (6, "sluice.chunks.delay.30000"),
            (600, "sluice.chunks.delay.600000"),
            (601, "sluice.chunks.delay.600000"),
        ] {
            let wait = Duration::from_secs(wait);
            assert_eq!(topology.delay(Lane::Chunks, wait).as_str(), queue);
        }
    }

    #[test]
    fn every_lane_has_its_ladder() {
        let topology = Topology::new(&AmqpOptions::new("amqp://localhost"));
        assert_eq!(topology.queues().len(), 3 + 3 * 4);
    }
}
