//! A private `redis-server` that may be hurt.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use sluice_index_redis::{RedisIndex, RedisOptions};
use sluice_stack::{Private, Redis};

/// Short, so that tests of what does not answer are short too.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// More than a call may ever take with that patience; generous, as the machine may be busy.
pub(crate) const BOUND: Duration = Duration::from_secs(15);

/// A server of one test.
pub(crate) struct Server(Private<Redis>);

fn words(extra: &[&str]) -> Vec<String> {
    extra.iter().map(|word| (*word).to_owned()).collect()
}

impl Server {
    pub(crate) fn start(extra: &[&str]) -> Self {
        let arguments = words(extra);
        Self(Private::start(&sluice_stack::RedisOptions { arguments }).unwrap())
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// Starts it again with what it kept.
    pub(crate) fn start_again(&mut self, extra: &[&str]) {
        self.0.server_mut().arguments = words(extra);
        self.0.start_again().unwrap();
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) async fn admin(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Tells it something by a connection of its own.
    pub(crate) async fn tell(&self, command: &str) {
        let mut words = command.split(' ');
        let mut tell = redis::cmd(words.next().unwrap());
        for word in words {
            tell.arg(word);
        }
        let () = tell.query_async(&mut self.admin().await).await.unwrap();
    }

    pub(crate) async fn index(&self) -> RedisIndex {
        let mut options = RedisOptions::new(self.url());
        options.connect_timeout = PATIENCE;
        options.response_timeout = PATIENCE;
        RedisIndex::connect(options).await.unwrap()
    }
}
