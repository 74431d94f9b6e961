//! A private `redis-server` that may be hurt.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use sluice_index_redis::{RedisIndex, RedisOptions};

/// Short, so that tests of what does not answer are short too.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// More than a call may ever take with that patience; generous, as the machine may be busy.
pub(crate) const BOUND: Duration = Duration::from_secs(15);

/// A server in a folder of its own.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start(extra: &[&str]) -> Self {
        for _ in 0..5 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let folder = tempfile::tempdir().unwrap();
            let mut child = spawn(port, folder.path(), extra);
            let up = is_up(&mut child, port).await;
            // Made first, so that one that does not come up is ended too.
            let server = Self {
                child,
                port,
                folder,
            };
            if up {
                return server;
            }
        }
        unreachable!("redis-server did not start five times");
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again with what it kept.
    pub(crate) async fn start_again(&mut self, extra: &[&str]) {
        self.child = spawn(self.port, self.folder.path(), extra);
        assert!(is_up(&mut self.child, self.port).await);
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
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

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &std::path::Path, extra: &[&str]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "yes"])
        .args(extra)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn is_up(child: &mut Child, port: u16) -> bool {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
    for _ in 0..400 {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if answers(&client).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Whether it is there, even if it wants a password first.
async fn answers(client: &redis::Client) -> bool {
    let ping: redis::RedisResult<String> = match client.get_multiplexed_async_connection().await {
        Ok(mut connection) => redis::cmd("PING").query_async(&mut connection).await,
        Err(error) => Err(error),
    };
    match ping {
        Ok(_) => true,
        Err(error) => error.code() == Some("NOAUTH"),
    }
}
