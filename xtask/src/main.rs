//! The project's own commands; `cargo xtask` without a word says which there are.

mod alerts;
mod bench;
mod chart;
mod compose;
mod conformance;
mod definitions;
mod deny;
#[cfg(test)]
mod documents;
mod fuzz;
mod graph;
mod hybrid;
#[cfg(test)]
mod logs;
mod process;
mod real_clients;
mod run;
mod runbooks;
mod sbom;
mod schemathesis;
mod serving;
mod settings;
mod stack;
mod tools;
#[cfg(test)]
mod units;

use std::process::ExitCode;

use anyhow::bail;

const USAGE: &str =
    "usage: cargo xtask test | graph | conformance | compose | chart [copy] | alerts | deny | sbom | ci | fuzz [SECONDS [TARGET]] | stack up|down|status | bench [--built] [NAME...]
       | real-clients | schemathesis | hybrid REVISION | runbooks | definitions DIR

  test     every test of the workspace
  graph    checks that crates depend only on layers below their own
  conformance  checks that docs/CONFORMANCE.md has every rule, and that the tests it names exist
  compose  docker-compose.yml, and the settings that it gives to services
  chart    the Helm chart: helm, Kubernetes' schemas, our rules, and the programs take it; `copy` copies deploy/observe into it
  deny     licences, sources, bans and advisories of dependencies (cargo-deny)
  alerts   alert rules and their tests, dashboards, and that each alert has a page in docs/runbooks
  sbom     what each program is made of, as CycloneDX, in target/sbom (cargo-cyclonedx)
  ci       test, then fmt, clippy, graph, conformance, compose, chart, alerts and deny
  fuzz     every target of /fuzz, for 30 or so many seconds each (cargo-fuzz; best with nightly)
  stack    RabbitMQ, Redis, PostgreSQL and S3 on free loopback ports, under target/stack
  real-clients  smart-fetch and cumulus-etl from PyPI, unchanged, against `sluice serve` with authorization
  schemathesis  requests that schemathesis from PyPI makes up from docs/openapi.json, with and without authorization
  hybrid   builds the services of another revision, and runs them beside those of this one
  runbooks  the first command of each page in docs/runbooks, against the three services over a stack
  bench    runs benchmarks, all or those named, prints their tables and puts them into docs/BENCHMARKS.md;
           with --built it measures the programs of target/release as they are
  definitions  tables of search parameters and elements, from HL7's definitions of R4 in DIR";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn command(words: &[&str]) -> anyhow::Result<()> {
    match words {
        ["test", rest @ ..] => test(rest),
        ["graph"] => graph::check(),
        ["conformance"] => conformance::check(),
        ["chart"] => chart::check(),
        ["chart", "copy"] => chart::copy(),
        ["compose"] => compose::check(),
        ["alerts"] => alerts::check(),
        ["runbooks"] => runbooks::walk(),
        ["deny"] => deny::check(),
        ["sbom"] => sbom::write(),
        ["ci"] => ci(),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["stack", word] => stack::command(word),
        ["bench", rest @ ..] => bench::run(rest),
        ["real-clients"] => real_clients::run(),
        ["schemathesis"] => schemathesis::run(),
        ["hybrid", revision] => hybrid::run(revision, test),
        ["definitions", folder] => definitions::write(folder.as_ref()),
        _ => bail!("{USAGE}"),
    }
}

/// Brings up the servers that tests need, and takes them down again if they were not up before.
/// Words after `test` go to `cargo test`, as in `cargo xtask test -p sluice-engine`.
fn test(words: &[&str]) -> anyhow::Result<()> {
    let mut all = vec!["test", "--locked"];
    all.extend(if words.is_empty() {
        &["--workspace"][..]
    } else {
        words
    });
    stack::beside(|| run::cargo(&all))
}

fn ci() -> anyhow::Result<()> {
    test(&[])?;
    run::cargo(&["fmt", "--all", "--check"])?;
    let strict = ["--", "-D", "warnings"];
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked"];
    run::cargo(&[&clippy[..], &strict[..]].concat())?;
    graph::check()?;
    conformance::check()?;
    compose::check()?;
    chart::check()?;
    alerts::check()?;
    deny::check()
}
