//! `bench selection`: what `_typeFilter` and `_elements` cost, beside an export of the same data without them.

use super::figures::{Series, Table};
use super::fleet::Export;
use super::{Benchmark, data, serve};

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "selection",
    what: "Observations of 1,200 sample patients exported by `sluice serve`, with filters and elements and without: MB of NDJSON read for each second of the server's processor time",
    run: measure,
};

const PATIENTS: u32 = 1200;
const TURNS: usize = 5;
const TARGET: &str = "≥ 40";

/// What is asked beside `_type`, encoded.
const CASES: [(&str, &str); 4] = [
    (
        "a filter that all meet",
        "&_typeFilter=Observation%3Fstatus%3Dfinal%26date%3Dge1900",
    ),
    (
        "a filter that few meet",
        "&_typeFilter=Observation%3Fcode%3Dhttp%3A%2F%2Floinc.org%7C8302-2",
    ),
    (
        "some elements",
        "&_elements=Observation.subject,Observation.value",
    ),
    (
        "a filter and elements",
        "&_typeFilter=Observation%3Fstatus%3Dfinal&_elements=Observation.subject,Observation.value",
    ),
];

fn measure() -> anyhow::Result<Table> {
    let sample = data::patients(PATIENTS)?;
    let observations = std::fs::metadata(sample.folder.join("Observation.ndjson"))?.len();
    let megabytes = data::float(observations) / 1e6;
    let server = serve(&sample.folder)?;
    let rate = |asked: &str| -> anyhow::Result<f64> {
        let before = server.process.cpu()?;
        let export = Export::begin(&format!("{}/$export?_type=Observation{asked}", server.base))?;
        export.wait()?;
        let took = server.process.cpu()? - before;
        export.delete()?;
        Ok(megabytes / took.max(0.01))
    };
    let mut plain = Series::new();
    let mut chosen = CASES.map(|_| Series::new());
    for _ in 0..TURNS {
        plain.push(rate("")?);
        for ((_, asked), series) in CASES.iter().zip(&mut chosen) {
            series.push(rate(asked)?);
        }
    }
    let mut table = Table::default();
    for ((name, _), series) in CASES.iter().zip(&chosen) {
        let kept = series.over(&plain).map(|part| part * 100.0);
        table.row_with_target(
            &format!("{name}, of everything as it is"),
            "%",
            &kept,
            TARGET,
        );
    }
    table.row("everything as it is", "MB/s", &plain);
    for ((name, _), series) in CASES.iter().zip(&chosen) {
        table.row(name, "MB/s", series);
    }
    table.row(
        "peak of the server",
        "MiB",
        &Series::from(server.process.peak()?),
    );
    Ok(table)
}
