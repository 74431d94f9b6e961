//! `bench memory`: the most that each process holds, whatever the size of the export.

use std::path::Path;

use super::data::{self, Sample};
use super::figures::{Series, Table};
use super::fleet::{Database, Export, Fleet, Plan};
use super::{Benchmark, serve};
use crate::run::{program, sluice};
use crate::stack;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "memory",
    what: "the most memory that each process held (peak RSS) for exports of 0.1, 1 and 4 GB and of ten attachments of 60 MB: the services from PostgreSQL to S3, each export in processes of its own, and `sluice serve` of the same data",
    run: || stack::beside(measure),
};

/// Patients, which are about so much.
const SIZES: [(u32, &str); 3] = [(225, "0.1 GB"), (2_250, "1 GB"), (9_000, "4 GB")];
const GIANTS: u32 = 10;
const GIANT_MIB: u32 = 60;
const WORKER: &str = "≤ 192";
const COORDINATOR: &str = "≤ 128";

fn measure() -> anyhow::Result<Table> {
    let mut table = Table::default();
    for (patients, name) in SIZES {
        one(&mut table, name, &data::patients(patients)?)?;
    }
    let giants = data::made("giants", |folder: &Path| {
        let out = folder.to_string_lossy();
        program(&sluice(), &["sample", "--patients", "10", "--out", &out])?;
        data::add_giants(folder, GIANTS, GIANT_MIB)
    })?;
    one(&mut table, "10 x 60 MB", &giants)?;
    Ok(table)
}

fn one(table: &mut Table, name: &str, sample: &Sample) -> anyhow::Result<()> {
    let database = Database::make("memory")?;
    database.load(&sample.folder)?;
    let fleet = Fleet::start(&Plan {
        tenants: &[("default", database.uri.clone())],
        workers: 1,
        more: &[],
    })?;
    let export = Export::begin(&format!("{}/$export", fleet.base("default")))?;
    export.wait()?;
    export.delete()?;
    let mut row = |who: &str, peak: f64, target: &str| {
        table.row_with_target(
            &format!("{name}: {who}"),
            "MiB",
            &Series::from(peak),
            target,
        );
    };
    for worker in &fleet.workers {
        row("worker", worker.peak()?, WORKER);
    }
    row("coordinator", fleet.coordinator.peak()?, COORDINATOR);
    row("gateway", fleet.gateway.peak()?, "");
    drop((fleet, database));

    // The index of the folder is there already when its peak begins to count.
    serve(&sample.folder)?;
    let server = serve(&sample.folder)?;
    let export = Export::begin(&format!("{}/$export", server.base))?;
    export.wait()?;
    export.delete()?;
    row("`sluice serve`", server.process.peak()?, "");
    Ok(())
}
