//! The fast view of jobs in Redis: the [`Index`](sluice_ports::Index) of a deployment of many.
//!
//! Redis is never the truth (design rule 1): all of it can be lost and is rebuilt from the
//! journal. What matters here is that no call hangs, none counts twice, and running jobs go on
//! when Redis is full.

mod decode;
mod fault;
mod index;
mod jobs;
mod keys;
mod link;
mod probe;
mod scripts;

use std::time::Duration;

use sluice_ports::{PortError, PortKind};

use crate::keys::Keys;
use crate::link::Link;
use crate::scripts::Scripts;
pub use sluice_ports::{Finding, Severity};

/// Where Redis is and how long to wait for it. No `Debug`: the address may hold a password.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://` or, with TLS, `rediss://[user:password@]host[:port][/database]`; a secret.
    pub url: String,
    /// What every key begins with, so that deployments can share one Redis.
    pub prefix: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
}

impl RedisOptions {
    /// The usual: keys that begin with `sluice`, two seconds to connect and two to answer.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "sluice".to_owned(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
        }
    }
}

/// The fast view in Redis. It connects again by itself when the connection is lost.
pub struct RedisIndex {
    link: Link,
    keys: Keys,
    scripts: Scripts,
}

impl RedisIndex {
    /// Connects; an error when Redis cannot be reached within a few tries.
    pub async fn connect(options: RedisOptions) -> Result<Self, PortError> {
        let odd = |c: char| c == '{' || c == '}' || c.is_whitespace() || c.is_control();
        if options.prefix.is_empty() || options.prefix.contains(odd) {
            let action = "taking a redis key prefix that is empty or has braces or spaces";
            return Err(PortError::new(PortKind::Permanent, action));
        }
        Ok(Self {
            link: Link::connect(&options).await?,
            keys: Keys::new(options.prefix),
            scripts: Scripts::new(),
        })
    }
}
