//! `bench selection`: what `_typeFilter` and `_elements` cost, beside an export of the same data without them.
//! Prints MB of NDJSON read for each second of the server's processor time, in turns.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{Serving, remove, sample};
use crate::run::{cargo, root, say};

/// Sample patients: about 500 MB, more than half of them Observations.
const PATIENTS: &str = "1200";
const TURNS: usize = 5;

/// What is asked beside `_type`, encoded.
const CASES: [(&str, &str); 5] = [
    ("everything as it is", ""),
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

pub(super) fn run() -> anyhow::Result<()> {
    cargo(&["build", "--release", "--locked", "-p", "sluice"])?;
    let home = root().join("target/bench");
    fs::create_dir_all(&home)?;
    let data = sample(&home, ("selection", PATIENTS), |_| Ok(()))?;
    remove(&home.join("server"))?;
    let bytes = fs::metadata(data.join("Observation.ndjson"))?.len();
    let mut server = Serving::start(&data, &home.join("server"), "off")?;
    let mut seen: BTreeMap<&str, Vec<(Duration, Duration)>> = BTreeMap::new();
    for _ in 0..TURNS {
        for (name, asked) in CASES {
            seen.entry(name).or_default().push(export(&server, asked)?);
        }
    }
    let peak = server.peak_mib()?;
    server.stop()?;
    remove(&home.join("server"))?;
    say(&format!(
        "\n{} MB of Observations, {TURNS} turns; MB/s for each second of processor: least, median, most",
        bytes / 1_000_000
    ));
    let mut unchosen = None;
    for (name, _) in CASES {
        let turns = seen.get_mut(name).context("a case was not run")?;
        turns.sort_unstable();
        let rate = |took: Duration| megabytes(bytes) / took.as_secs_f64().max(0.01);
        let [most, median, least] = [0, TURNS / 2, TURNS - 1].map(|at| rate(turns[at].0));
        let of_all = 100.0 * median / *unchosen.get_or_insert(median);
        let wall = turns[TURNS / 2].1.as_secs_f64();
        say(&format!(
            "{name:24} {least:8.0} {median:8.0} {most:8.0}   {of_all:4.0} %   {wall:6.2} s"
        ));
    }
    say(&format!("peak {peak} MiB"));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Exports without a download; how much processor and how long the server took until the manifest was there.
fn export(server: &Serving, asked: &str) -> anyhow::Result<(Duration, Duration)> {
    let url = format!("{}/$export?_type=Observation{asked}", server.base);
    let (cpu, begun) = (server.cpu()?, Instant::now());
    let head = curl(&["-D", "-", "-o", "/dev/null", &url])?;
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("content-location: "));
    let status = status
        .with_context(|| format!("no export began: {head}"))?
        .trim()
        .to_owned();
    loop {
        let code = curl(&["-o", "/dev/null", "-w", "%{http_code}", &status])?;
        match code.as_str() {
            "200" => break,
            "202" | "429" => std::thread::sleep(Duration::from_millis(50)),
            other => bail!("the export failed with {other}"),
        }
    }
    let took = (server.cpu()?.saturating_sub(cpu), begun.elapsed());
    curl(&["-X", "DELETE", "-o", "/dev/null", &status])?;
    Ok(took)
}

fn curl(words: &[&str]) -> anyhow::Result<String> {
    let ran = Command::new("curl").arg("-sS").args(words).output()?;
    if !ran.status.success() {
        bail!("curl: {}", String::from_utf8_lossy(&ran.stderr));
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}
