//! RabbitMQ from Debian, run as the present user, with an epmd of its own.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::ports::{connect, free_ports};
use crate::server::Server;

/// The server itself; `/usr/sbin/rabbitmq-server` would change the user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// How a broker differs from a quiet one.
#[derive(Clone, Debug, Default)]
pub struct RabbitmqOptions {
    /// Whether it has the management API, which makes its start longer.
    pub management: bool,
    /// Lines of `rabbitmq.conf`.
    pub lines: Vec<String>,
    /// More words for Erlang.
    pub arguments: Vec<String>,
}

impl RabbitmqOptions {
    /// Takes back what is held for longer than this, and looks every second instead of every
    /// minute.
    pub fn with_consumer_timeout(timeout: Duration) -> Self {
        let tick = ["-rabbit", "channel_tick_interval", "1000"];
        Self {
            lines: vec![format!("consumer_timeout = {}", timeout.as_millis())],
            arguments: tick.map(str::to_owned).to_vec(),
            ..Self::default()
        }
    }
}

/// A broker.
pub struct Rabbitmq {
    folder: PathBuf,
    arguments: Vec<String>,
    port: u16,
    distribution: u16,
    epmd: u16,
    management: Option<u16>,
}

impl Rabbitmq {
    /// Whether it is on this machine.
    pub fn is_installed() -> bool {
        Path::new(PROGRAM).exists()
    }

    /// Everything that it logged.
    pub fn log(&self) -> String {
        let folder = fs::read_dir(self.folder.join("logs"));
        let files = folder.into_iter().flatten().flatten();
        files
            .map(|file| fs::read_to_string(file.path()).unwrap_or_default())
            .collect()
    }

    fn configuration(&self, lines: &[String]) -> String {
        let mut text = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\n\
             loopback_users = none\n\
             disk_free_limit.absolute = 50MB\n\
             vm_memory_high_watermark.absolute = 512MB\n\
             raft.wal_max_size_bytes = 16777216\n",
            self.port
        );
        if let Some(port) = self.management {
            let address = "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = ";
            text.extend([address, &port.to_string(), "\n"]);
        }
        text.extend(lines.iter().flat_map(|line| [line.as_str(), "\n"]));
        text
    }
}

impl Server for Rabbitmq {
    type Options = RabbitmqOptions;

    const NAME: &'static str = "rabbitmq";

    fn prepare(folder: &Path, options: &RabbitmqOptions) -> anyhow::Result<Self> {
        let [port, distribution, epmd, management] = free_ports()?;
        let broker = Self {
            folder: folder.to_owned(),
            arguments: options.arguments.clone(),
            port,
            distribution,
            epmd,
            management: options.management.then_some(management),
        };
        fs::create_dir_all(folder.join("home")).context("making a home for the broker")?;
        let plugins = if options.management {
            "[rabbitmq_management].\n"
        } else {
            "[].\n"
        };
        fs::write(folder.join("plugins"), plugins)?;
        let text = broker.configuration(&options.lines);
        fs::write(folder.join("rabbitmq.conf"), text)?;
        Ok(broker)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Command {
        let path = |name: &str| self.folder.join(name);
        let mut arguments =
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
                .to_owned();
        arguments.extend(self.arguments.iter().flat_map(|word| [" ", word.as_str()]));
        let mut command = Command::new(PROGRAM);
        command
            .env("HOME", path("home"))
            // The script then becomes the server, so that there is one pid to send signals to.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env(
                "RABBITMQ_NODENAME",
                format!("sluice{}@localhost", self.port),
            )
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("logs"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_FEATURE_FLAGS_FILE", path("feature_flags"))
            .env("RABBITMQ_SCHEMA_DIR", path("schema"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments);
        command
    }

    /// An AMQP handshake is far cheaper than `rabbitmqctl`.
    fn answers(&self) -> bool {
        speaks_amqp(self.port).is_some()
    }

    fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    fn settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![("SLUICE_PORTS__QUEUE".to_owned(), self.url())];
        if let Some(port) = self.management {
            let url = format!("http://guest:guest@127.0.0.1:{port}");
            settings.push(("STACK_RABBITMQ_MANAGEMENT".to_owned(), url));
        }
        settings
    }

    fn companions(&self) -> Vec<(&'static str, i32)> {
        epmd(self.epmd)
            .map(|pid| ("epmd", pid))
            .into_iter()
            .collect()
    }
}

fn speaks_amqp(port: u16) -> Option<()> {
    let mut stream = connect(port).ok()?;
    stream.write_all(b"AMQP\0\0\x09\x01").ok()?;
    stream.read_exact(&mut [0]).ok()
}

/// The epmd that a broker started; it stays behind when the broker goes.
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
