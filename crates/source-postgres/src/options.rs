//! How to reach a database, and how much of it may be used.

use std::path::PathBuf;
use std::time::Duration;

/// Where a database is and what it may be asked.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://USER@HOST[:PORT]/DATABASE[?sslmode=require]`. A password in it works, but is better
    /// kept apart.
    pub uri: String,
    /// The password, if there is one.
    pub password: Option<String>,
    /// PEM of the authorities that may have signed the server's certificate; without it those of the
    /// machine are trusted.
    pub authorities: Option<PathBuf>,
    /// PEM of our own certificate chain and its key, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Connections at once in this process.
    pub connections: usize,
    /// Slices read at once in this process; fewer than connections, so that planning and Groups do
    /// not wait for them.
    pub reads: usize,
    /// The longest that the database may work on anything but the reading of a slice.
    pub statement_timeout: Duration,
    /// The longest that it may send one statement's part of a slice.
    pub read_timeout: Duration,
}

impl PostgresOptions {
    /// With defaults for all but the address.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            password: None,
            authorities: None,
            identity: None,
            connections: 8,
            reads: 4,
            statement_timeout: Duration::from_mins(1),
            read_timeout: Duration::from_mins(15),
        }
    }
}
