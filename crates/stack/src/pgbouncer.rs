//! `PgBouncer` from Debian in front of a PostgreSQL server: one connection serves many clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::ports::free_ports;
use crate::postgres::{DATABASE, Postgres, USER, is_ready, sql};
use crate::private::Private;
use crate::server::Server;
use crate::user::User;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// What there must be to start one.
#[derive(Clone, Debug)]
pub struct PgbouncerOptions {
    /// The port of the PostgreSQL server behind it.
    pub of: u16,
    /// Lines of `pgbouncer.ini`.
    pub lines: Vec<String>,
}

impl PgbouncerOptions {
    /// In front of this server.
    pub fn of(postgres: &Postgres) -> Self {
        Self {
            of: postgres.port(),
            lines: Vec::new(),
        }
    }
}

/// A pool in transaction mode: what a client sets for its session is lost between transactions.
pub struct Pgbouncer {
    folder: PathBuf,
    user: User,
    port: u16,
}

impl Pgbouncer {
    /// Whether it is on this machine.
    pub fn is_installed() -> bool {
        Path::new(PROGRAM).exists()
    }

    /// Runs SQL through `psql` and this, as [`Postgres::sql`] does.
    pub fn sql(&self, text: &str) -> anyhow::Result<String> {
        sql(&self.url(), text)
    }
}

impl Server for Pgbouncer {
    type Options = PgbouncerOptions;

    const NAME: &'static str = "pgbouncer";

    fn prepare(folder: &Path, options: &PgbouncerOptions) -> anyhow::Result<Self> {
        let [port] = free_ports()?;
        let user = User::unprivileged()?;
        user.give(folder)?;
        let configuration = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={} user={USER}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             max_client_conn = 1000\n\
             default_pool_size = 20\n\
             {}\n",
            options.of,
            options.lines.join("\n")
        );
        fs::write(folder.join("pgbouncer.ini"), configuration)
            .context("writing the configuration of pgbouncer")?;
        Ok(Self {
            folder: folder.to_owned(),
            user,
            port,
        })
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg(self.folder.join("pgbouncer.ini"));
        self.user.run(&mut command);
        command
    }

    fn answers(&self) -> bool {
        is_ready(self.port).unwrap_or(false)
    }

    fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// None: only tests that mean it go through one.
    fn settings(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

impl Private<Postgres> {
    /// A pool in front of this server.
    pub fn pgbouncer(&self) -> anyhow::Result<Private<Pgbouncer>> {
        Private::start(&PgbouncerOptions::of(self.server()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::PostgresOptions;

    #[test]
    fn a_client_reaches_the_server_through_the_pool() {
        let postgres = Private::<Postgres>::start(&PostgresOptions::default()).unwrap();
        let pool = postgres.pgbouncer().unwrap();
        assert_ne!(pool.url(), postgres.url());
        pool.server()
            .sql("CREATE TABLE through AS SELECT 5 AS n")
            .unwrap();
        let seen = postgres.server().sql("SELECT n FROM through").unwrap();
        assert_eq!(seen, "5\n");
        // The server keeps the pool's connection when the client has gone.
        let names = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'sluice' AND pid <> pg_backend_pid()";
        assert_eq!(postgres.server().sql(names).unwrap(), "t\n");
    }
}
