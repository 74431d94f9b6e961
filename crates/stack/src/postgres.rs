//! PostgreSQL from Debian, run as the present user, or as `postgres` if that is root.

mod wire;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};

use crate::ports::free_ports;
use crate::private::Private;
use crate::server::Server;
use crate::user::User;

pub(crate) use wire::is_ready;

/// Also how `stop` knows it.
pub(crate) const NAME: &str = "postgres";

/// Debian has a folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// May do everything, without a password.
pub(crate) const USER: &str = "app";

/// The database that is there from the start.
pub(crate) const DATABASE: &str = "sluice";

/// How a server differs from an empty one that forgets what the disk does not have when the machine
/// stops. (What a killed process wrote is the kernel's, and stays.)
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Whether it waits for the disk, as one in production would.
    pub fsync: bool,
    /// More settings, such as `track_commit_timestamp=on`; they win over what is told otherwise.
    pub settings: Vec<String>,
    /// The port of a server that it follows as a physical replica.
    pub replica_of: Option<u16>,
}

/// A server.
pub struct Postgres {
    folder: PathBuf,
    user: User,
    port: u16,
    fsync: bool,
    /// As in [`PostgresOptions`]; a change counts from the next start.
    pub settings: Vec<String>,
}

impl Postgres {
    /// Whether it is on this machine.
    pub fn is_installed() -> bool {
        programs().is_some()
    }

    /// Where it listens, on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients reach one of its databases.
    pub fn database(&self, name: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }

    /// Runs SQL through `psql`, and returns what it printed: a line for each row, with tabs.
    pub fn sql(&self, text: &str) -> anyhow::Result<String> {
        sql(&self.url(), text)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Makes an empty server with its one database.
    fn initialize(&self) -> anyhow::Result<()> {
        let mut command = program("initdb")?;
        command
            .args(["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "-D"])
            .arg(self.data());
        self.finish(&mut command)?;
        // No server runs yet that could be asked.
        let statement = self.folder.join("database.sql");
        fs::write(&statement, format!("CREATE DATABASE {DATABASE}\n"))?;
        let mut command = program("postgres")?;
        command
            .args(["--single", "-F", "-D"])
            .arg(self.data())
            .arg("postgres")
            .stdin(fs::File::open(statement)?);
        self.finish(&mut command)
    }

    /// Copies a server that runs, and follows it from then on.
    fn copy(&self, port: u16) -> anyhow::Result<()> {
        let mut command = program("pg_basebackup")?;
        command
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER])
            .args(["--write-recovery-conf", "--wal-method=stream"])
            .args(["--checkpoint=fast", "--no-sync", "-D"])
            .arg(self.data());
        self.finish(&mut command)
    }

    fn finish(&self, command: &mut Command) -> anyhow::Result<()> {
        self.user.run(command.current_dir(&self.folder));
        output(command).map(drop)
    }
}

impl Server for Postgres {
    type Options = PostgresOptions;

    const NAME: &'static str = NAME;

    fn prepare(folder: &Path, options: &PostgresOptions) -> anyhow::Result<Self> {
        let [port] = free_ports()?;
        let server = Self {
            folder: folder.to_owned(),
            user: User::unprivileged()?,
            port,
            fsync: options.fsync,
            settings: options.settings.clone(),
        };
        server.user.give(folder)?;
        match options.replica_of {
            Some(port) => server.copy(port)?,
            None => server.initialize()?,
        }
        Ok(server)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Command {
        // One that is not there fails when it is started.
        let programs = programs().unwrap_or_default();
        let mut command = Command::new(programs.join("postgres"));
        command.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        let fsync = format!("fsync={}", if self.fsync { "on" } else { "off" });
        let settings = [
            &port,
            &fsync,
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "wal_level=replica",
            "max_connections=100",
            "shared_buffers=256MB",
            "max_wal_size=1GB",
        ];
        let more = self.settings.iter().map(String::as_str);
        for setting in settings.into_iter().chain(more) {
            command.args(["-c", setting]);
        }
        self.user.run(&mut command);
        command
    }

    fn answers(&self) -> bool {
        is_ready(self.port).unwrap_or(false)
    }

    fn url(&self) -> String {
        self.database(DATABASE)
    }

    fn settings(&self) -> Vec<(String, String)> {
        vec![("STACK_POSTGRES".to_owned(), self.url())]
    }
}

impl Private<Postgres> {
    /// A physical replica that streams from this server; each outlives the other's end.
    pub fn replica(&self) -> anyhow::Result<Self> {
        Self::start(&PostgresOptions {
            replica_of: Some(self.server().port),
            ..PostgresOptions::default()
        })
    }
}

/// Runs SQL through `psql`, and returns what it printed: a line for each row, with tabs.
pub(crate) fn sql(url: &str, text: &str) -> anyhow::Result<String> {
    let mut command = program("psql")?;
    let plain = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"];
    command.args(plain).args(["-c", text, url]);
    output(&mut command)
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    // What the shell that called us has set for another server.
    let foreign = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG"));
    for (name, _) in foreign {
        command.env_remove(name);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} {status}: {}", String::from_utf8_lossy(&stderr));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn program(name: &str) -> anyhow::Result<Command> {
    let programs = programs().context("PostgreSQL is not installed")?;
    Ok(Command::new(programs.join(name)))
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten();
    let numbers = versions.filter_map(|version| version.file_name().to_str()?.parse().ok());
    let folders = |number: u32| Path::new(VERSIONS).join(number.to_string()).join("bin");
    let mut numbers: Vec<u32> = numbers
        .filter(|number| folders(*number).join("postgres").exists())
        .collect();
    numbers.sort_unstable();
    numbers.pop().map(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private() -> Private<Postgres> {
        Private::start(&PostgresOptions::default()).unwrap()
    }

    #[test]
    fn what_was_committed_is_there_after_it_was_killed_and_after_it_stopped() {
        let mut postgres = private();
        let url = postgres.url();
        let sql = |postgres: &Private<Postgres>, text| postgres.server().sql(text).unwrap();
        sql(
            &postgres,
            "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)",
        );
        postgres.kill().unwrap();
        assert!(postgres.server().sql("SELECT 1").is_err());
        postgres.start_again().unwrap();
        sql(&postgres, "INSERT INTO kept VALUES (2)");
        postgres.stop().unwrap();
        postgres.start_again().unwrap();
        assert_eq!(sql(&postgres, "SELECT n FROM kept ORDER BY n"), "1\n2\n");
        assert_eq!(postgres.url(), url);
    }

    #[test]
    fn a_replica_follows_and_outlives_its_primary() {
        let mut primary = private();
        let sql = |postgres: &Private<Postgres>, text| postgres.server().sql(text).unwrap();
        sql(&primary, "CREATE TABLE seen (n int)");
        let replica = primary.replica().unwrap();
        sql(&primary, "INSERT INTO seen VALUES (7)");
        while sql(&replica, "SELECT count(*) FROM seen") != "1\n" {
            std::thread::sleep(crate::process::STEP);
        }
        assert_eq!(sql(&replica, "SELECT pg_is_in_recovery()"), "t\n");
        primary.kill().unwrap();
        assert_eq!(sql(&replica, "SELECT n FROM seen"), "7\n");
    }

    #[test]
    fn settings_of_a_test_win() {
        let settings = vec!["max_connections=17".to_owned()];
        let options = PostgresOptions {
            settings,
            ..PostgresOptions::default()
        };
        let postgres = Private::<Postgres>::start(&options).unwrap();
        let shown = postgres.server().sql("SHOW max_connections").unwrap();
        assert_eq!(shown, "17\n");
    }
}
