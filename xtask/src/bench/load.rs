//! `bench load`: NDJSON into PostgreSQL.

use std::process::Command;

use anyhow::{Context, bail};

use super::figures::{Series, Table};
use super::fleet::Database;
use super::machine::Since;
use super::{Benchmark, data};
use crate::process::Running;
use crate::run::sluice;
use crate::stack;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "load",
    what: "`sluice load` of about 450 MB of sample data into PostgreSQL, the database on the same machine",
    run: || stack::beside(measure),
};

const TURNS: usize = 3;

fn measure() -> anyhow::Result<Table> {
    let sample = data::patients(1_000)?;
    let [mut rate, mut own, mut all, mut peak] = [const { Series::new() }; 4];
    for _ in 0..TURNS {
        let database = Database::make("load")?;
        let since = Since::now()?;
        let mut loader = Command::new(sluice());
        let loader = loader
            .args(["load", "--into", &database.uri])
            .arg(&sample.folder)
            .spawn();
        let (cpu, most) = until_it_ends(Running(loader.context("starting sluice load")?))?;
        let took = since.took()?;
        rate.push(sample.megabytes() / took.wall);
        own.push(cpu / sample.megabytes() * 1e3);
        all.push(took.machine / sample.megabytes() * 1e3);
        peak.push(most);
    }
    let mut table = Table::default();
    table.row("rate", "MB/s", &rate);
    table.row("processor time of the loader", "s/GB", &own);
    table.row(
        "processor time of the machine, database included",
        "s/GB",
        &all,
    );
    table.row_with_target("peak of the loader", "MiB", &peak, "none set");
    Ok(table)
}

/// Waits for its end, and gives seconds of processors and the most memory it held, in MiB.
fn until_it_ends(mut running: Running) -> anyhow::Result<(f64, f64)> {
    let (mut cpu, mut peak) = (0.0, 0.0);
    loop {
        if let Some(status) = running.0.try_wait()? {
            if !status.success() {
                bail!("it failed: {status}");
            }
            return Ok((cpu, peak));
        }
        // It may end between the two.
        cpu = running.cpu().unwrap_or(cpu).max(cpu);
        peak = running.peak().unwrap_or(peak).max(peak);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
