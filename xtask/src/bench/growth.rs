//! `bench growth`: whether a resource costs the same in a large export as in a small one.

use super::figures::{Series, Table};
use super::fleet::Export;
use super::{Benchmark, data, serve};

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "growth",
    what: "processor time of `sluice serve` for each resource of exports of about 10,000, 100,000 and 1,000,000 resources",
    run: measure,
};

/// Patients, which are about so many resources.
const SIZES: [(u32, &str); 3] = [(28, "10⁴"), (280, "10⁵"), (2_800, "10⁶")];
const TURNS: usize = 5;
/// A small export is over in a moment, which the clock of processor time cannot tell from none.
const LEAST: u64 = 300_000;

fn measure() -> anyhow::Result<Table> {
    let mut sizes = Vec::new();
    for (patients, name) in SIZES {
        let sample = data::patients(patients)?;
        let server = serve(&sample.folder)?;
        let mut cost = Series::new();
        let mut seen = 0;
        for _ in 0..TURNS {
            let (before, mut resources) = (server.process.cpu()?, 0);
            while resources < LEAST {
                let export = Export::begin(&format!("{}/$export", server.base))?;
                export.wait()?;
                seen = export.resources()?;
                resources += seen;
                export.delete()?;
            }
            let took = server.process.cpu()? - before;
            cost.push(took * 1e6 / data::float(resources));
        }
        sizes.push((name, seen, cost, server.process.peak()?));
    }
    let mut table = Table::default();
    if let [(_, _, small, _), .., (_, _, large, _)] = &sizes[..] {
        let ratio = large.over(small);
        table.row_with_target("a resource of 10⁶, by one of 10⁴", "x", &ratio, "about 1");
    }
    for (name, seen, cost, peak) in &sizes {
        table.row(&format!("{name}: a resource of {seen}"), "µs", cost);
        table.row(
            &format!("{name}: peak of the server"),
            "MiB",
            &Series::from(*peak),
        );
    }
    Ok(table)
}
