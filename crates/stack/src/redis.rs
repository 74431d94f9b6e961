//! Redis from Debian.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::ports::{connect, free_ports};
use crate::server::Server;

const PROGRAM: &str = "redis-server";

/// How a server differs from one that keeps what it is told and throws nothing away, as one in
/// production would.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// Words for it, such as `--maxmemory` and `100mb`; they win over what is told otherwise.
    pub arguments: Vec<String>,
}

/// A server.
pub struct Redis {
    folder: PathBuf,
    port: u16,
    /// As in [`RedisOptions`]; a change counts from the next start.
    pub arguments: Vec<String>,
}

impl Redis {
    /// Whether it is on this machine.
    pub fn is_installed() -> bool {
        let mut command = Command::new(PROGRAM);
        let quiet = command.arg("--version").stdout(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Removes everything that it kept on the disk. It must not run.
    pub fn forget(&self) -> anyhow::Result<()> {
        let data = self.data();
        fs::remove_dir_all(&data).with_context(|| format!("removing {}", data.display()))?;
        fs::create_dir(&data).with_context(|| format!("making {}", data.display()))
    }
}

impl Server for Redis {
    type Options = RedisOptions;

    const NAME: &'static str = "redis";

    fn prepare(folder: &Path, options: &RedisOptions) -> anyhow::Result<Self> {
        let [port] = free_ports()?;
        let server = Self {
            folder: folder.to_owned(),
            port,
            arguments: options.arguments.clone(),
        };
        fs::create_dir_all(server.data()).context("making a folder for redis")?;
        Ok(server)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--appendonly", "yes", "--save", ""])
            .args(["--maxmemory-policy", "noeviction", "--dir"])
            .arg(self.data())
            .args(&self.arguments);
        command
    }

    fn answers(&self) -> bool {
        pings(self.port).unwrap_or(false)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    fn settings(&self) -> Vec<(String, String)> {
        vec![("SLUICE_PORTS__INDEX".to_owned(), self.url())]
    }
}

/// Whether it is there, even if it wants a password first.
fn pings(port: u16) -> std::io::Result<bool> {
    let mut stream = connect(port)?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok([b"+PONG", b"-NOAU"].contains(&&answer))
}
