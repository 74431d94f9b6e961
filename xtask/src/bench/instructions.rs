//! `bench instructions`: how many instructions a worker takes for a resource, which the load of the machine does not
//! change.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::figures::{Series, Table};
use super::fleet::{Database, Export, Fleet, Plan};
use super::{Benchmark, data, home};
use crate::stack;
use crate::tools;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "instructions",
    what: "instructions of a worker for each resource of an unfiltered export from PostgreSQL to S3, counted by callgrind: what an export of 400 sample \
patients takes more than one of 100, by the resources that it has more. Valgrind knows neither SHA nor AVX-512 instructions, so both SHA-256 of each \
byte (the file's, and S3's signature over HTTP) are counted as software, which is most of what there is",
    run: || stack::beside(measure),
};

const SMALL: u32 = 100;
const LARGE: u32 = 400;
const TURNS: usize = 3;

fn measure() -> anyhow::Result<Table> {
    tools::debian("bench", &["valgrind"])?;
    let mut each = Series::new();
    for _ in 0..TURNS {
        let (small, large) = (one(SMALL)?, one(LARGE)?);
        each.push((large.0 - small.0) / (large.1 - small.1));
    }
    let mut table = Table::default();
    table.row("a resource", "instructions", &each);
    Ok(table)
}

/// Instructions from start to end of a worker that does one export, and its resources.
fn one(patients: u32) -> anyhow::Result<(f64, f64)> {
    let sample = data::patients(patients)?;
    let database = Database::make("instructions")?;
    database.load(&sample.folder)?;
    let mut fleet = Fleet::start(&Plan {
        tenants: &[("default", database.uri.clone())],
        workers: 0,
        more: &[],
    })?;
    let out = home().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    fleet.add_worker_under(valgrind)?;
    let export = Export::begin(&format!("{}/$export", fleet.base("default")))?;
    export.wait()?;
    let resources = export.resources()?;
    export.delete()?;
    let worker = fleet.workers.pop().context("no worker")?;
    worker.stop()?;
    Ok((counted(&out)?, data::float(resources)))
}

fn counted(out: &Path) -> anyhow::Result<f64> {
    let text = fs::read_to_string(out).context("callgrind has written nothing")?;
    let total = text.lines().find_map(|line| {
        let line = line
            .strip_prefix("summary:")
            .or(line.strip_prefix("totals:"));
        line?.trim().parse::<f64>().ok()
    });
    match total {
        Some(total) if total > 0.0 => Ok(total),
        _ => bail!("callgrind has counted nothing"),
    }
}
