//! `bench limit`: the services from PostgreSQL to S3 against the least that the same rows can cost.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::figures::{Series, Table};
use super::fleet::{Database, Export, Fleet, Plan};
use super::machine::{Since, Took};
use super::{Benchmark, data};
use crate::process::Running;
use crate::stack;
use crate::tools;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "limit",
    what: "900 MB of sample data from PostgreSQL to S3 by one worker process, from kick-off to manifest, beside `psql -c 'COPY (the same rows) TO STDOUT' | rclone rcat` to the same S3 server; and both with gzip",
    run: || stack::beside(measure),
};

const PATIENTS: u32 = 2_000;
const TURNS: usize = 5;
/// The rows that an export of everything has; as text, or as they lie there.
const ROWS: &str = "FROM sluice.resource WHERE died_at = 9223372036854775807";

/// What is run in turns.
struct Seen {
    wall: Series,
    machine: Series,
}

impl Seen {
    const fn new() -> Self {
        Self {
            wall: Series::new(),
            machine: Series::new(),
        }
    }

    fn note(&mut self, took: Took) {
        self.wall.push(took.wall);
        self.machine.push(took.machine);
    }
}

fn measure() -> anyhow::Result<Table> {
    tools::debian("bench", &["rclone"])?;
    let sample = data::patients(PATIENTS)?;
    let database = Database::make("limit")?;
    database.load(&sample.folder)?;
    let fleet = Fleet::start(&Plan {
        tenants: &[
            ("plain", database.uri.clone()),
            ("packed", database.uri.clone()),
        ],
        workers: 1,
        more: &[("SLUICE_TENANTS__PACKED__GZIP", "true".to_owned())],
    })?;
    let ours = |tenant: &str| -> anyhow::Result<(Took, f64)> {
        let worker = fleet.workers.first().context("no worker")?;
        let (since, before) = (Since::now()?, worker.cpu()?);
        let export = Export::begin(&format!("{}/$export", fleet.base(tenant)))?;
        export.wait()?;
        let took = (since.took()?, worker.cpu()? - before);
        export.delete()?;
        Ok(took)
    };
    let floor = |copy: &str, gzip: bool| -> anyhow::Result<Took> {
        let since = Since::now()?;
        pipe(&database.uri, copy, gzip)?;
        since.took()
    };
    let text = format!("COPY (SELECT convert_from(body, 'UTF8') {ROWS}) TO STDOUT");
    let binary = format!("COPY (SELECT body {ROWS}) TO STDOUT (FORMAT binary)");
    // What is read once lies in memory from then on, for all alike.
    ours("plain")?;
    floor(&binary, false)?;
    let [mut plain, mut packed, mut as_text, mut as_is, mut gzip] = [const { Seen::new() }; 5];
    let [mut worker, mut worker_packed] = [const { Series::new() }; 2];
    for _ in 0..TURNS {
        as_text.note(floor(&text, false)?);
        let (took, own) = ours("plain")?;
        plain.note(took);
        worker.push(own);
        as_is.note(floor(&binary, false)?);
        gzip.note(floor(&text, true)?);
        let (took, own) = ours("packed")?;
        packed.note(took);
        worker_packed.push(own);
    }
    let mut table = Table::default();
    let target = "≤ 1.3";
    table.row_with_target(
        "time, by that of the pipe",
        "x",
        &plain.wall.over(&as_text.wall),
        target,
    );
    table.row(
        "the same, by a pipe of binary COPY",
        "x",
        &plain.wall.over(&as_is.wall),
    );
    table.row(
        "processor time of the machine, by that of the pipe",
        "x",
        &plain.machine.over(&as_text.machine),
    );
    table.row(
        "the same, by a pipe of binary COPY",
        "x",
        &plain.machine.over(&as_is.machine),
    );
    table.row(
        "with gzip: time, by that of the pipe through gzip -1",
        "x",
        &packed.wall.over(&gzip.wall),
    );
    table.row(
        "with gzip: processor time of the machine, by that",
        "x",
        &packed.machine.over(&gzip.machine),
    );
    let gigabytes = sample.megabytes() / 1e3;
    let rate = |series: &Series| series.map(|wall| sample.megabytes() / wall);
    for (name, seen) in [
        ("ours", &plain),
        ("pipe", &as_text),
        ("pipe of binary COPY", &as_is),
        ("ours with gzip", &packed),
        ("pipe through gzip -1", &gzip),
    ] {
        table.row(name, "MB/s", &rate(&seen.wall));
        table.row(
            &format!("{name}: processor time of the machine"),
            "s/GB",
            &seen.machine.map(|cpu| cpu / gigabytes),
        );
    }
    table.row(
        "the worker's processor time",
        "s/GB",
        &worker.map(|cpu| cpu / gigabytes),
    );
    table.row(
        "the same with gzip",
        "s/GB",
        &worker_packed.map(|cpu| cpu / gigabytes),
    );
    let peaks = fleet
        .workers
        .iter()
        .map(Running::peak)
        .collect::<anyhow::Result<Series>>()?;
    table.row_with_target("peak of the worker", "MiB", &peaks, "≤ 192");
    Ok(table)
}

/// Rows into an object, by other people's programs.
fn pipe(uri: &str, copy: &str, gzip: bool) -> anyhow::Result<()> {
    let settings = stack::settings()?;
    let find = |name: &str| stack::setting(&settings, name);
    let bucket = find("SLUICE_PORTS__BLOBS")?;
    let bucket = bucket.strip_prefix("s3://").context("no bucket")?;
    let mut psql = Command::new("psql");
    psql.args(["-q", uri, "-c", copy]);
    let mut before = vec![psql];
    if gzip {
        let mut gzip = Command::new("gzip");
        gzip.arg("-1");
        before.push(gzip);
    }
    let mut running = Vec::new();
    let mut input = Stdio::null();
    for mut command in before {
        let child = command.stdin(input).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("starting {command:?}"))?;
        input = child.stdout.take().context("no pipe")?.into();
        running.push(child);
    }
    let uploaded = Command::new("rclone")
        .args([
            "--config",
            "/dev/null",
            "rcat",
            &format!("bench:{bucket}/floor"),
        ])
        .env("RCLONE_CONFIG_BENCH_TYPE", "s3")
        .env("RCLONE_CONFIG_BENCH_PROVIDER", "Other")
        .env("RCLONE_CONFIG_BENCH_ENDPOINT", find("SLUICE_S3__ENDPOINT")?)
        .env(
            "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID",
            find("SLUICE_S3__ACCESS_KEY_ID")?,
        )
        .env(
            "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY",
            find("SLUICE_S3__SECRET_ACCESS_KEY")?,
        )
        .env("RCLONE_S3_NO_CHECK_BUCKET", "true")
        // A bundle that the machine sets for its own ends is one that it cannot load.
        .env_remove("AWS_CA_BUNDLE")
        .stdin(input)
        .status();
    let mut is_well = uploaded.context("starting rclone")?.success();
    for mut child in running {
        is_well &= child.wait()?.success();
    }
    if !is_well {
        bail!("the pipe failed");
    }
    Ok(())
}
