//! The services as processes over the stack, in a corner of their own, and exports that they are asked for.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::machine::{cpu_of, peak_mib};
use crate::process::{Running, accepted, curl, wait};
use crate::run::{program, root, sluice};
use crate::stack;

/// Between two looks at an export.
const MOMENT: Duration = Duration::from_millis(50);

/// For an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to start.
pub(super) struct Plan<'a> {
    /// Where each tenant's data is.
    pub(super) tenants: &'a [(&'a str, String)],
    pub(super) workers: u32,
    /// Settings beside those of the stack.
    pub(super) more: &'a [(&'a str, String)],
}

/// A gateway, a coordinator and workers that run.
pub(super) struct Fleet {
    pub(super) gateway: Running,
    pub(super) coordinator: Running,
    pub(super) workers: Vec<Running>,
    /// Where the gateway listens.
    pub(super) origin: String,
    /// What its names in the servers begin with.
    pub(super) corner: String,
    settings: Vec<(String, String)>,
}

impl Fleet {
    /// Returns once the gateway answers.
    pub(super) fn start(plan: &Plan<'_>) -> anyhow::Result<Self> {
        let [port] = sluice_stack::free_ports::<1>()?;
        let corner = format!("bench-{}", std::process::id());
        let mut settings = stack::settings_in(&corner)?;
        let mut set = |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));
        set("SLUICE_SERVER__LISTEN", &format!("127.0.0.1:{port}"));
        set("SLUICE_SERVER__AUTHORIZATION", "off");
        set("SLUICE_SERVER__POLL_BURST", "1000000000");
        set("SLUICE_LOG__FILTER", "warn");
        for (tenant, source) in plan.tenants {
            set(
                &format!("SLUICE_TENANTS__{}__SOURCE", tenant.to_uppercase()),
                source,
            );
        }
        for (name, value) in plan.more {
            set(name, value);
        }
        let gateway = service("sluice-gateway", &settings)?;
        let coordinator = service("sluice-coordinator", &settings)?;
        let workers = (0..plan.workers).map(|_| service("sluice-worker", &settings));
        let workers = workers.collect::<anyhow::Result<_>>()?;
        let origin = format!("http://127.0.0.1:{port}");
        for (tenant, _) in plan.tenants {
            wait(&format!("{origin}/{tenant}/fhir/metadata"))?;
        }
        Ok(Self {
            gateway,
            coordinator,
            workers,
            origin,
            corner,
            settings,
        })
    }

    /// Starts one more worker as what another program runs.
    pub(super) fn add_worker_under(&mut self, mut program: Command) -> anyhow::Result<()> {
        program.arg(root().join("target/release/sluice-worker"));
        self.workers
            .push(started(program, "sluice-worker", &self.settings)?);
        Ok(())
    }

    /// Starts one more worker with settings of its own, waits until it takes chunks, and gives the address of its
    /// admin port.
    pub(super) fn add_ready_worker(&mut self, more: &[(&str, String)]) -> anyhow::Result<String> {
        let [port] = sluice_stack::free_ports::<1>()?;
        let address = format!("127.0.0.1:{port}");
        let mut settings = self.settings.clone();
        settings.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        settings.push(("SLUICE_ADMIN__LISTEN".to_owned(), address.clone()));
        self.workers.push(service("sluice-worker", &settings)?);
        let address = format!("http://{address}");
        wait(&format!("{address}/readyz"))?;
        Ok(address)
    }

    /// Runs `sluice` with the settings that the services have.
    pub(super) fn sluice(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(sluice());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let status = command.args(words).stdout(Stdio::null()).status();
        let status = status.context("starting sluice")?;
        if !status.success() {
            bail!("sluice {} failed: {status}", words.join(" "));
        }
        Ok(())
    }

    /// A tenant's base.
    pub(super) fn base(&self, tenant: &str) -> String {
        format!("{}/{tenant}/fhir", self.origin)
    }
}

fn service(name: &str, settings: &[(String, String)]) -> anyhow::Result<Running> {
    let command = Command::new(root().join("target/release").join(name));
    started(command, name, settings)
}

fn started(
    mut command: Command,
    name: &str,
    settings: &[(String, String)],
) -> anyhow::Result<Running> {
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    let log = File::create(root().join("target/bench").join(format!("{name}.log")))?;
    let started = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Ok(Running(
        started.with_context(|| format!("starting {name}"))?,
    ))
}

impl Running {
    /// Tells it to stop, and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        program("kill", &["-TERM", &self.pid().to_string()])?;
        let ended = self.0.wait()?;
        if !ended.success() {
            bail!("it ended with {ended}");
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Seconds of processors that it took so far.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        Ok(cpu_of(self.pid())?.as_secs_f64())
    }

    /// The most memory that it held, in MiB.
    pub(super) fn peak(&self) -> anyhow::Result<f64> {
        peak_mib(self.pid())
    }
}

/// An export that was accepted: where it is asked after.
pub(super) struct Export(String);

impl Export {
    /// Kicks one off.
    pub(super) fn begin(url: &str) -> anyhow::Result<Self> {
        let head = curl(&["-sS", "-D", "-", "-o", "/dev/null", url])?;
        Ok(Self(accepted(&head)?))
    }

    /// Waits for its manifest.
    pub(super) fn wait(&self) -> anyhow::Result<()> {
        while !self.has_ended()? {
            std::thread::sleep(MOMENT);
        }
        Ok(())
    }

    /// Whether it has its manifest. It is asked often, and a program for each time would take more of the machine than
    /// the answers.
    pub(super) fn has_ended(&self) -> anyhow::Result<bool> {
        let unclear = || format!("no host and path in {}", self.0);
        let place = self.0.strip_prefix("http://").with_context(unclear)?;
        let (address, path) = place.split_once('/').with_context(unclear)?;
        let mut server = TcpStream::connect(address)?;
        server.set_read_timeout(Some(PATIENCE))?;
        let head = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        server.write_all(head.as_bytes())?;
        let mut answer = String::new();
        server.read_to_string(&mut answer)?;
        match answer.split(' ').nth(1) {
            Some("200") => Ok(true),
            Some("202" | "429") => Ok(false),
            other => bail!("the export failed with {other:?}"),
        }
    }

    /// Its manifest: resources that it tells of.
    pub(super) fn resources(&self) -> anyhow::Result<u64> {
        let manifest: serde_json::Value = serde_json::from_str(&curl(&["-sS", &self.0])?)?;
        let files = manifest["output"]
            .as_array()
            .context("no output in a manifest")?;
        let counts = files
            .iter()
            .map(|file| file["count"].as_u64().context("a file without a count"));
        counts.sum()
    }

    /// Deletes it.
    pub(super) fn delete(self) -> anyhow::Result<()> {
        curl(&["-sS", "-X", "DELETE", "-o", "/dev/null", &self.0])?;
        Ok(())
    }
}

/// A database of the stack that goes with this.
pub(super) struct Database {
    shared: String,
    name: String,
    /// Where it is.
    pub(super) uri: String,
}

impl Database {
    /// Makes one, with Sluice's tables.
    pub(super) fn make(what: &str) -> anyhow::Result<Self> {
        let shared = stack::setting(&stack::settings()?, "STACK_POSTGRES")?;
        let name = format!("bench_{what}_{}", std::process::id());
        program(
            "psql",
            &["-q", &shared, "-c", &format!("CREATE DATABASE {name}")],
        )?;
        let (server, _) = shared
            .rsplit_once('/')
            .context("an address without a database")?;
        let uri = format!("{server}/{name}");
        let made = Self { shared, name, uri };
        program(&sluice(), &["migrate", "--into", &made.uri])?;
        Ok(made)
    }

    /// Loads NDJSON of a folder, and sees to it that nothing of that goes on meanwhile.
    pub(super) fn load(&self, folder: &std::path::Path) -> anyhow::Result<()> {
        program(
            &sluice(),
            &["load", "--into", &self.uri, &folder.to_string_lossy()],
        )?;
        let after = ["-c", "VACUUM ANALYZE", "-c", "CHECKPOINT"];
        program(
            "psql",
            &[&["-q", "-v", "ON_ERROR_STOP=1", &self.uri], &after[..]].concat(),
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _goes_with_the_stack = program("psql", &["-q", &self.shared, "-c", &drop]);
    }
}
