//! `bench ndjson`: how fast one process exports a folder.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::data::Sample;
use super::figures::{Series, Table};
use super::fleet::Export;
use super::machine::Since;
use super::{Benchmark, data, serve};

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "ndjson",
    what: "2 GB of sample data exported by `sluice serve` into its folder, from kick-off to manifest, beside `cat` of the same files through SHA-256 (OpenSSL's)",
    run: measure,
};

/// About 2 GB.
const PATIENTS: u32 = 4_500;
const TURNS: usize = 5;

fn measure() -> anyhow::Result<Table> {
    let sample = data::patients(PATIENTS)?;
    let server = serve(&sample.folder)?;
    let gigabytes = sample.megabytes() / 1e3;
    let [mut wall, mut own, mut all] = [const { Series::new() }; 3];
    let [mut floor_wall, mut floor_cpu] = [const { Series::new() }; 2];
    let mut resources = 0;
    for _ in 0..TURNS {
        let since = Since::now()?;
        cat_through_sha256(&sample)?;
        let took = since.took()?;
        floor_wall.push(took.wall);
        floor_cpu.push(took.machine);

        let (since, before) = (Since::now()?, server.process.cpu()?);
        let export = Export::begin(&format!("{}/$export", server.base))?;
        export.wait()?;
        let took = since.took()?;
        wall.push(took.wall);
        own.push(server.process.cpu()? - before);
        all.push(took.machine);
        resources = export.resources()?;
        export.delete()?;
    }
    let resources = data::float(resources);
    let mut table = Table::default();
    table.row(
        "time, by that of cat through SHA-256",
        "x",
        &wall.over(&floor_wall),
    );
    table.row(
        "processor time of the machine, by that of cat through SHA-256",
        "x",
        &all.over(&floor_cpu),
    );
    let rate = wall.map(|wall| sample.megabytes() / wall);
    table.row_with_target("rate", "MB/s", &rate, "≥ 200");
    table.row("rate", "resources/s", &wall.map(|wall| resources / wall));
    table.row(
        "processor time of the server",
        "s/GB",
        &own.map(|cpu| cpu / gigabytes),
    );
    table.row(
        "cat through SHA-256",
        "MB/s",
        &floor_wall.map(|wall| sample.megabytes() / wall),
    );
    table.row(
        "processor time of cat through SHA-256",
        "s/GB",
        &floor_cpu.map(|cpu| cpu / gigabytes),
    );
    table.row(
        "peak of the server",
        "MiB",
        &Series::from(server.process.peak()?),
    );
    Ok(table)
}

fn cat_through_sha256(sample: &Sample) -> anyhow::Result<()> {
    let mut cat = Command::new("cat");
    let mut cat = cat
        .args(sample.files()?)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cat")?;
    let pipe = cat.stdout.take().context("no pipe")?;
    let mut sha = Command::new("openssl");
    let sha = sha
        .args(["dgst", "-sha256"])
        .stdin(pipe)
        .stdout(Stdio::null())
        .status();
    if !(sha.context("starting openssl")?.success() && cat.wait()?.success()) {
        bail!("cat | openssl dgst -sha256 failed");
    }
    Ok(())
}
