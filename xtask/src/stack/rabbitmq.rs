//! RabbitMQ from Debian, run as the present user, with an epmd of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::process::{free_ports, remember, start as start_process, wait};

/// The server itself; `/usr/sbin/rabbitmq-server` would change the user.
pub(super) const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A broker on its way.
pub(super) struct Broker {
    port: u16,
    management: u16,
    epmd: u16,
    folder: PathBuf,
}

/// Starts a broker.
pub(super) fn start(folder: &Path) -> anyhow::Result<Broker> {
    super::fresh(folder)?;
    let [port, distribution, epmd, management] = free_ports()?;
    let path = |name: &str| folder.join(name);
    fs::create_dir_all(path("home"))?;
    // What tests ask of it: the management plugin closes connections and reads queues.
    fs::write(path("plugins"), "[rabbitmq_management].\n")?;
    let settings = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {management}\n\
         loopback_users = none\n\
         disk_free_limit.absolute = 50MB\n\
         vm_memory_high_watermark.absolute = 512MB\n\
         raft.wal_max_size_bytes = 16777216\n"
    );
    fs::write(path("rabbitmq.conf"), settings)?;
    let mut command = Command::new(SERVER);
    command
        .env("HOME", path("home"))
        .env("ERL_EPMD_PORT", epmd.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_NODENAME", format!("sluice{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
        .env("RABBITMQ_LOG_BASE", path("logs"))
        .env("RABBITMQ_PID_FILE", path("pid"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
        .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
        .env("RABBITMQ_FEATURE_FLAGS_FILE", path("feature_flags"))
        .env("RABBITMQ_SCHEMA_DIR", path("schema"))
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
        );
    start_process("rabbitmq", folder, &mut command)?;
    Ok(Broker {
        port,
        management,
        epmd,
        folder: folder.to_owned(),
    })
}

impl Broker {
    /// Waits for an AMQP handshake: far cheaper than `rabbitmqctl`.
    pub(super) fn wait(&self) -> anyhow::Result<()> {
        wait("rabbitmq", || speaks_amqp(self.port).is_some())?;
        // The script may have handed over to another process.
        let pid = fs::read_to_string(self.folder.join("pid")).context("reading its pid")?;
        remember("rabbitmq-vm", pid.trim().parse()?)?;
        match epmd(self.epmd) {
            Some(pid) => remember("epmd", pid),
            None => Ok(()),
        }
    }

    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let amqp = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port);
        let management = format!("http://guest:guest@127.0.0.1:{}", self.management);
        vec![
            ("SLUICE_PORTS__QUEUE".to_owned(), amqp),
            ("STACK_RABBITMQ_MANAGEMENT".to_owned(), management),
        ]
    }
}

fn speaks_amqp(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"AMQP\0\0\x09\x01").ok()?;
    stream.read_exact(&mut [0]).ok()
}

/// The epmd that this broker started; it stays behind when the broker goes.
fn epmd(port: u16) -> Option<i32> {
    let wanted = format!("ERL_EPMD_PORT={port}");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let variables = fs::read(entry.path().join("environ")).unwrap_or_default();
        let ours = variables
            .split(|byte| *byte == 0)
            .any(|one| one == wanted.as_bytes());
        if name.trim() == "epmd" && ours {
            return Some(pid);
        }
    }
    None
}
