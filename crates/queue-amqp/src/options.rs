//! What an operator can set.

use std::time::Duration;

use lapin::uri::AMQPUri;
use sluice_ports::{PortError, PortKind};

/// Seconds between heartbeats unless the URL says otherwise: a dead peer is known after two.
const HEARTBEAT_SECONDS: u16 = 20;

/// Queue names are at most 255 bytes; this leaves room for what is put after the prefix.
const LONGEST_PREFIX: usize = 100;

/// How to reach the broker and how to use it.
///
/// There is no `Debug` on purpose: the URL carries a password.
#[derive(Clone)]
pub struct AmqpOptions {
    /// `amqp://user:password@host:port/vhost`, or `amqps://` for TLS.
    pub url: String,
    /// What every queue's name begins with.
    pub prefix: String,
    /// How many chunk hints one process holds at most: the worker's slots.
    pub prefetch: u16,
    /// How many hints of each other lane one process holds at most.
    pub coordinator_prefetch: u16,
    /// The longest wait for any one answer of the broker: a handshake, a declaration, a confirm.
    pub confirm_timeout: Duration,
    /// The waits that a retried message can have, each a queue of its own: a time per message
    /// would block the head of the line (T7).
    pub retry_ladder: Vec<Duration>,
    /// How often the broker takes a hint back before it puts it on the dead lane. Only the last
    /// resort: attempts are counted by the application (T6).
    pub delivery_limit: u32,
}

impl AmqpOptions {
    /// The defaults for a broker.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "sluice".to_owned(),
            prefetch: 4,
            coordinator_prefetch: 8,
            confirm_timeout: Duration::from_secs(10),
            retry_ladder: [5, 30, 120, 600].map(Duration::from_secs).to_vec(),
            delivery_limit: 20,
        }
    }

    /// The URL's parts, with the heartbeat that detects a dead peer. The parser's own message is
    /// left out: it may repeat what it could not read, and that may be the password.
    pub(crate) fn uri(&self) -> Result<AMQPUri, PortError> {
        let parsed: Result<AMQPUri, _> = self.url.parse();
        let mut uri = parsed.map_err(|_| {
            invalid("reading the queue's URL, which must be amqp://user:password@host:port/vhost")
        })?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let limit = u64::try_from(self.confirm_timeout.as_millis()).unwrap_or(u64::MAX);
        uri.query.connection_timeout.get_or_insert(limit);
        Ok(uri)
    }

    pub(crate) fn validate(&self) -> Result<(), PortError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=LONGEST_PREFIX).contains(&self.prefix.len()) || !self.prefix.bytes().all(fits) {
            return Err(invalid(
                "using a queue prefix that is not 1 to 100 of a-z, A-Z, 0-9, '.', '_' and '-'",
            ));
        }
        let day = Duration::from_hours(24);
        let step = |step: &Duration| (Duration::from_millis(1)..=day).contains(step);
        if self.retry_ladder.is_empty() || !self.retry_ladder.iter().all(step) {
            return Err(invalid(
                "using a retry ladder without steps, or with one not between 1 ms and 24 h",
            ));
        }
        if self.prefetch == 0 || self.coordinator_prefetch == 0 {
            return Err(invalid("using a prefetch of 0, which means no limit"));
        }
        Ok(())
    }
}

fn invalid(action: &str) -> PortError {
    PortError::new(PortKind::Permanent, action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_added_and_a_given_one_kept() {
        let uri = |url| AmqpOptions::new(url).uri().unwrap();
        assert_eq!(uri("amqp://a:b@c:1/%2f").query.heartbeat, Some(20));
        let given = uri("amqp://a:b@c:1/%2f?heartbeat=7");
        assert_eq!(given.query.heartbeat, Some(7));
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        let error = AmqpOptions::new("amqp://a:hunter2@c:port").uri();
        let error = error.err().unwrap();
        assert_eq!(error.kind, PortKind::Permanent);
        assert!(!error.chain().contains("hunter2"));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let changes: [fn(&mut AmqpOptions); 6] = [
            |options| options.prefix = String::new(),
            |options| options.prefix = "a b".to_owned(),
            |options| options.prefix = "x".repeat(101),
            |options| options.retry_ladder.clear(),
            |options| options.retry_ladder.push(Duration::ZERO),
            |options| options.prefetch = 0,
        ];
        for change in changes {
            let mut options = AmqpOptions::new("amqp://localhost");
            options.validate().unwrap();
            change(&mut options);
            assert!(!options.validate().unwrap_err().is_transient());
        }
    }
}
