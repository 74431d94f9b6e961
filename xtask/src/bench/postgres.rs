//! `bench postgres`: loads a folder into PostgreSQL and exports it to S3 by the three services as processes
//! of their own. Prints how many, how fast, and how much memory the loader and the worker took.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{peak_mib, remove, sample, size, sluice};
use crate::process::{Running, wait};
use crate::run::{cargo, program, root, say};
use crate::stack;

/// Sample patients, if no folder is named: about 2.2 GiB.
const PATIENTS: &str = "5000";
const SERVICES: [&str; 3] = ["sluice-gateway", "sluice-coordinator", "sluice-worker"];

/// Runs it over a folder of NDJSON, or over sample data that is made once.
pub(crate) fn run(folder: Option<&str>) -> anyhow::Result<()> {
    let packages = SERVICES.map(|name| ["-p", name]).concat();
    let release = ["build", "--release", "--locked", "-p", "sluice"];
    cargo(&[&release[..], &packages].concat())?;
    let home = root().join("target/bench");
    fs::create_dir_all(&home)?;
    let data = match folder {
        Some(folder) => PathBuf::from(folder),
        None => sample(&home, ("patients-5000", PATIENTS), |_| Ok(()))?,
    };
    stack::beside(|| measure(&home, &data))
}

fn measure(home: &Path, data: &Path) -> anyhow::Result<()> {
    let settings = stack::settings()?;
    let shared = stack::setting(&settings, "STACK_POSTGRES")?;
    let name = format!("bench_{}", std::process::id());
    program(
        "psql",
        &["-q", &shared, "-c", &format!("CREATE DATABASE {name}")],
    )?;
    let (server, _) = shared
        .rsplit_once('/')
        .context("an address without a database")?;
    let uri = format!("{server}/{name}");
    let measured = load_and_export(home, data, &uri, &settings);
    program(
        "psql",
        &[
            "-q",
            &shared,
            "-c",
            &format!("DROP DATABASE {name} WITH (FORCE)"),
        ],
    )?;
    measured
}

fn load_and_export(
    home: &Path,
    data: &Path,
    uri: &str,
    settings: &[(String, String)],
) -> anyhow::Result<()> {
    program(&sluice(), &["migrate", "--into", uri])?;
    let begun = Instant::now();
    let mut loader = Command::new(sluice());
    let loader = loader.args(["load", "--into", uri]).arg(data).spawn();
    let mut loader = Running(loader.context("starting sluice load")?);
    let loading_peak = loader.peak_until_it_ends()?;
    let loading = begun.elapsed();

    let out = home.join("export");
    remove(&out)?;
    let (exporting, peak) = export(&out, uri, settings)?;
    let bytes = size(&out)?;
    remove(&out)?;
    say(&format!(
        "\n{:34} {:>9} {:>9} {:>9}\n{}\n{}",
        format!("{} MiB of NDJSON", bytes >> 20),
        "seconds",
        "MB/s",
        "peak MiB",
        row("load into PostgreSQL", loading, bytes, loading_peak),
        row("export to S3 and download, worker", exporting, bytes, peak),
    ));
    Ok(())
}

/// Exports everything by three services, and gives how long it took and what the worker held at most.
fn export(out: &Path, uri: &str, settings: &[(String, String)]) -> anyhow::Result<(Duration, u64)> {
    let port = sluice_stack::free_ports::<1>()?[0];
    let mut running = Vec::new();
    for service in SERVICES {
        let mut command = Command::new(root().join("target/release").join(service));
        command
            .envs(settings.iter().map(|(key, value)| (key, value)))
            .env("SLUICE_TENANTS__DEFAULT__SOURCE", uri)
            .env("SLUICE_SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("SLUICE_SERVER__AUTHORIZATION", "off")
            .env(
                "SLUICE_REDIS__PREFIX",
                format!("bench-{}", std::process::id()),
            )
            .env(
                "SLUICE_AMQP__PREFIX",
                format!("bench-{}", std::process::id()),
            )
            .env("SLUICE_LOG__FILTER", "warn")
            .stderr(Stdio::inherit());
        let started = command.spawn();
        running.push(Running(
            started.with_context(|| format!("starting {service}"))?,
        ));
    }
    let base = format!("http://127.0.0.1:{port}");
    wait(&format!("{base}/default/fhir/metadata"))?;
    let begun = Instant::now();
    let (target, out_text) = (
        format!("{base}/default/fhir"),
        out.to_string_lossy().into_owned(),
    );
    let words = [
        "export", "--system", "--server", &target, "--out", &out_text,
    ];
    program(&sluice(), &words)?;
    let exporting = begun.elapsed();
    let peak = running
        .last()
        .map_or(Ok(0), |worker| peak_mib(worker.0.id()))?;
    Ok((exporting, peak))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate for people has no use for more than 52 bits"
)]
fn row(what: &str, took: Duration, bytes: u64, mib: u64) -> String {
    let seconds = took.as_secs_f64();
    let rate = bytes as f64 / 1e6 / seconds;
    format!("{what:34} {seconds:>9.1} {rate:>9.1} {mib:>9}")
}

impl Running {
    /// Waits for its end, and gives the most memory it held, in MiB.
    fn peak_until_it_ends(&mut self) -> anyhow::Result<u64> {
        let mut peak = 0;
        loop {
            if let Some(status) = self.0.try_wait()? {
                if !status.success() {
                    bail!("it failed: {status}");
                }
                return Ok(peak);
            }
            peak = peak_mib(self.0.id()).unwrap_or(peak).max(peak);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
