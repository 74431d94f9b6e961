//! Benchmarks: they print figures and judge nothing. Each starts what it needs, makes its data once below target/bench,
//! cleans up, and puts its table into docs/BENCHMARKS.md.

mod data;
mod figures;
mod fleet;
mod machine;
mod report;
mod store;

mod gateway;
mod growth;
mod instructions;
mod limit;
mod load;
mod memory;
mod ndjson;
mod scale;
mod selection;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::run::{cargo, remove, root, sluice};
use crate::serving::Serving;
use figures::Table;

/// One of them.
struct Benchmark {
    name: &'static str,
    /// What it measures, in a line or two.
    what: &'static str,
    run: fn() -> anyhow::Result<Table>,
}

/// All of them, in the order of the document.
const BENCHMARKS: &[Benchmark] = &[
    limit::BENCHMARK,
    ndjson::BENCHMARK,
    gateway::BENCHMARK,
    memory::BENCHMARK,
    scale::BENCHMARK,
    growth::BENCHMARK,
    instructions::BENCHMARK,
    selection::BENCHMARK,
    load::BENCHMARK,
];

/// The programs that are measured; one build, because another choice of packages would build others.
const BUILD: [&str; 13] = [
    "build",
    "--release",
    "--locked",
    "-p",
    "sluice",
    "-p",
    "sluice-gateway",
    "-p",
    "sluice-coordinator",
    "-p",
    "sluice-worker",
    "-p",
    "sluice-bench",
];

/// Runs those that are named, or all; after the word `--built`, of the programs as they are.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let (is_built, words) = match words {
        ["--built", rest @ ..] => (true, rest),
        words => (false, words),
    };
    let known: Vec<&str> = BENCHMARKS.iter().map(|each| each.name).collect();
    if let Some(other) = words.iter().find(|word| !known.contains(word)) {
        bail!(
            "there is no benchmark {other:?}; there are: {}",
            known.join(", ")
        );
    }
    if !is_built {
        cargo(&BUILD)?;
    }
    fs::create_dir_all(home())?;
    let wanted = |each: &&Benchmark| words.is_empty() || words.contains(&each.name);
    for each in BENCHMARKS.iter().filter(wanted) {
        let table = (each.run)().with_context(|| format!("benchmark {}", each.name))?;
        report::tell(each, &table)?;
    }
    Ok(())
}

/// Where their data is kept.
fn home() -> PathBuf {
    root().join("target/bench")
}

/// Serves a folder without authorization and without limits, its state below target/bench.
fn serve(data: &Path) -> anyhow::Result<Serving> {
    let place = home().join("server");
    remove(&place)?;
    let unlimited = [("SLUICE_SERVER__POLL_BURST", "1000000000")];
    Serving::start(&sluice(), (data, &place, "off"), &unlimited)
}
