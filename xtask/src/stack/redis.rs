//! Redis from Debian.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use super::process::{free_ports, start as start_process, wait};

const SERVER: &str = "redis-server";

/// A server on its way.
pub(super) struct Redis {
    port: u16,
}

pub(super) fn is_installed() -> bool {
    let mut command = Command::new(SERVER);
    let quiet = command.arg("--version").stdout(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Starts a server that keeps what it is told, as one in production would.
pub(super) fn start(folder: &Path) -> anyhow::Result<Redis> {
    super::fresh(folder)?;
    let [port] = free_ports()?;
    let mut command = Command::new(SERVER);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--appendonly", "yes", "--save", ""])
        .args(["--maxmemory-policy", "noeviction", "--dir"])
        .arg(folder);
    start_process("redis", folder, &mut command)?;
    Ok(Redis { port })
}

impl Redis {
    pub(super) fn wait(&self) -> anyhow::Result<()> {
        wait("redis", || pings(self.port).unwrap_or(false))
    }

    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let url = format!("redis://127.0.0.1:{}/0", self.port);
        vec![("SLUICE_PORTS__INDEX".to_owned(), url)]
    }
}

fn pings(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG")
}
