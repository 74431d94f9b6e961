//! `bench limit`: the services from PostgreSQL to S3 against the least that the same rows can cost.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::figures::{Series, Table};
use super::fleet::{Database, Export, Fleet, Plan};
use super::machine::{Since, Took, cpu_of_ended};
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

/// What something took, turn by turn.
struct Seen {
    wall: Series,
    machine: Series,
    /// Of the worker, or of the programs of the pipe.
    own: Series,
}

impl Seen {
    const fn new() -> Self {
        Self {
            wall: Series::new(),
            machine: Series::new(),
            own: Series::new(),
        }
    }

    fn note(&mut self, (took, own): (Took, f64)) {
        self.wall.push(took.wall);
        self.machine.push(took.machine);
        self.own.push(own);
    }
}

/// What is run in turns.
struct Turns {
    plain: Seen,
    packed: Seen,
    as_text: Seen,
    as_is: Seen,
    gzip: Seen,
}

fn measure() -> anyhow::Result<Table> {
    tools::debian("bench", &["rclone"])?;
    let sample = data::patients(PATIENTS)?;
    let database = Database::make("limit")?;
    database.load(&sample.folder)?;
    let uri = || database.uri.clone();
    let fleet = Fleet::start(&Plan {
        tenants: &[("plain", uri()), ("packed", uri())],
        workers: 1,
        more: &[("SLUICE_TENANTS__PACKED__GZIP", "true".to_owned())],
    })?;
    let [worker] = &fleet.workers[..] else {
        bail!("this takes one worker");
    };
    let turns = take_turns(&database.uri, &fleet, worker)?;
    let mut table = told(&turns, sample.megabytes());
    let peak = Series::from(worker.peak()?);
    table.row_with_target("peak of the worker", "MiB", &peak, "≤ 192");
    Ok(table)
}

fn take_turns(uri: &str, fleet: &Fleet, worker: &Running) -> anyhow::Result<Turns> {
    let ours = |tenant: &str| -> anyhow::Result<(Took, f64)> {
        let (since, before) = (Since::now()?, worker.cpu()?);
        let export = Export::begin(&format!("{}/$export", fleet.base(tenant)))?;
        export.wait()?;
        let took = (since.took()?, worker.cpu()? - before);
        export.delete()?;
        Ok(took)
    };
    let floor = |copy: &str, gzip: bool| -> anyhow::Result<(Took, f64)> {
        let (since, before) = (Since::now()?, cpu_of_ended()?);
        pipe(uri, copy, gzip)?;
        let own = cpu_of_ended()?.saturating_sub(before);
        Ok((since.took()?, own.as_secs_f64()))
    };
    let text = format!("COPY (SELECT convert_from(body, 'UTF8') {ROWS}) TO STDOUT");
    let binary = format!("COPY (SELECT body {ROWS}) TO STDOUT (FORMAT binary)");
    // What is read once lies in memory from then on, for all alike.
    ours("plain")?;
    floor(&binary, false)?;
    let mut turns = Turns {
        plain: Seen::new(),
        packed: Seen::new(),
        as_text: Seen::new(),
        as_is: Seen::new(),
        gzip: Seen::new(),
    };
    for _ in 0..TURNS {
        turns.as_text.note(floor(&text, false)?);
        turns.plain.note(ours("plain")?);
        turns.as_is.note(floor(&binary, false)?);
        turns.gzip.note(floor(&text, true)?);
        turns.packed.note(ours("packed")?);
    }
    Ok(turns)
}

fn told(turns: &Turns, megabytes: f64) -> Table {
    let mut table = Table::default();
    for (what, ours, floor, target) in [
        ("the pipe", &turns.plain, &turns.as_text, "≤ 1.3"),
        ("a pipe of binary COPY", &turns.plain, &turns.as_is, ""),
        ("the pipe, both with gzip", &turns.packed, &turns.gzip, ""),
    ] {
        let mut ratio = |of: &str, ours: &Series, floor: &Series, target: &str| {
            table.row_with_target(&format!("{of} of {what}"), "x", &ours.over(floor), target);
        };
        ratio("time, by that", &ours.wall, &floor.wall, target);
        ratio(
            "the machine's processors, by those",
            &ours.machine,
            &floor.machine,
            "",
        );
        ratio(
            "the worker's processors, by those",
            &ours.own,
            &floor.own,
            "",
        );
    }
    let per_gigabyte = |seconds: f64| seconds * 1e3 / megabytes;
    for (name, seen) in [
        ("ours", &turns.plain),
        ("pipe", &turns.as_text),
        ("pipe of binary COPY", &turns.as_is),
        ("ours with gzip", &turns.packed),
        ("pipe with gzip -1", &turns.gzip),
    ] {
        let mut row = |of: &str, unit: &str, series: &Series| {
            table.row(&format!("{name}{of}"), unit, series);
        };
        row("", "MB/s", &seen.wall.map(|wall| megabytes / wall));
        row(
            ": processors of the machine",
            "s/GB",
            &seen.machine.map(per_gigabyte),
        );
        row(
            ": of the worker, or of the pipe's programs",
            "s/GB",
            &seen.own.map(per_gigabyte),
        );
    }
    table
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
        // As our worker does it.
        .env("RCLONE_S3_CHUNK_SIZE", "8Mi")
        .env("RCLONE_S3_UPLOAD_CONCURRENCY", "4")
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
