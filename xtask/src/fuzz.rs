//! Fuzzing, for a bounded time: cargo-fuzz runs every target of `/fuzz` and says what came of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::run::{root, say};
use crate::tools;

const VERSION: &str = "0.13.2";
/// For each target, unless told otherwise.
const SECONDS: u32 = 30;
/// An input that takes longer than this, in seconds, is a finding.
const LONGEST: u32 = 60;

/// Runs every target, or one, for so many seconds each; fails when one of them found something.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let seconds = words.first().map_or(Ok(SECONDS), |text| text.parse());
    let seconds = seconds.context("the time is a whole number of seconds")?;
    let mut targets = targets()?;
    if let Some(only) = words.get(1) {
        targets.retain(|target| target == only);
    }
    if targets.is_empty() || words.len() > 2 {
        bail!("there is no such target; fuzz/fuzz_targets has them");
    }
    let tool = tool()?;
    let fuzzer = Fuzzer {
        tool,
        nightly: has_nightly(),
    };
    say(if fuzzer.nightly {
        "fuzz: building with the address sanitizer"
    } else {
        "fuzz: building without the address sanitizer, which only nightly has"
    });
    fuzzer.build()?;
    let mut found = Vec::new();
    for target in &targets {
        match fuzzer.run(target, seconds)? {
            Some(figures) => say(&format!("fuzz: {target:<14} {figures}")),
            None => found.push(target.as_str()),
        }
    }
    if !found.is_empty() {
        bail!("something does not hold: {}", found.join(", "));
    }
    Ok(())
}

/// Which targets there are: their files say so.
fn targets() -> anyhow::Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(&folder).context("reading fuzz/fuzz_targets")? {
        let path = entry?.path();
        if let Some(name) = path.file_stem() {
            targets.push(name.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    Ok(targets)
}

fn has_nightly() -> bool {
    let listed = Command::new("rustup").args(["toolchain", "list"]).output();
    listed.is_ok_and(|listed| {
        let names = String::from_utf8_lossy(&listed.stdout);
        names.lines().any(|name| name.starts_with("nightly"))
    })
}

fn tool() -> anyhow::Result<PathBuf> {
    let tool = tools::rust("fuzz", "cargo-fuzz", VERSION);
    tool.context("cargo-fuzz is not installed and cannot be fetched")
}

struct Fuzzer {
    tool: PathBuf,
    nightly: bool,
}

impl Fuzzer {
    fn command(&self, word: &str) -> Command {
        let mut command = Command::new(&self.tool);
        command.arg(word).current_dir(root());
        command.arg("--target-dir").arg(scratch().join("build"));
        // What cargo told this program of itself: which cargo it is, and that one would be used; and of
        // the package, for which some build scripts would run again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text == "CARGO"
                || text.starts_with("CARGO_PKG_")
                || text.starts_with("CARGO_MANIFEST_")
            {
                command.env_remove(&name);
            }
        }
        if self.nightly {
            command.env("RUSTUP_TOOLCHAIN", "nightly");
        } else {
            command.args(["--sanitizer", "none"]);
        }
        command
    }

    fn build(&self) -> anyhow::Result<()> {
        let status = self
            .command("build")
            .status()
            .context("starting cargo-fuzz")?;
        if !status.success() {
            bail!("the fuzz targets do not build: {status}");
        }
        Ok(())
    }

    /// What a target did; `None` when it found something, which is told.
    fn run(&self, target: &str, seconds: u32) -> anyhow::Result<Option<String>> {
        let corpus = scratch().join("corpus").join(target);
        std::fs::create_dir_all(&corpus).context("making a folder for inputs")?;
        let log = scratch().join(format!("{target}.log"));
        let seeds = root().join("fuzz/corpus").join(target);
        let mut command = self.command("run");
        // New inputs go to the first folder; the seeds are only read.
        command.arg(target).arg(&corpus).arg(&seeds).arg("--");
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-timeout={LONGEST}"));
        let writing = File::create(&log).context("making a log")?;
        // actix keeps the names of its routes for good, once for each thread. That is no finding.
        let status = command
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .stdout(Stdio::null())
            .stderr(writing)
            .status()
            .context("starting cargo-fuzz")?;
        let text = std::fs::read(&log).context("reading the log")?;
        let text = String::from_utf8_lossy(&text);
        if status.success() {
            let figures = figures(&text).context("the fuzzer did not say what it did")?;
            return Ok(Some(figures));
        }
        tell(target, &text, &log);
        Ok(None)
    }
}

/// Where inputs and programs are, which nobody commits.
fn scratch() -> PathBuf {
    root().join("target/fuzz")
}

/// Executions, seconds and the size of the corpus, from the last lines of libFuzzer.
fn figures(log: &str) -> Option<String> {
    let done = log.lines().rev().find(|line| line.starts_with("Done "))?;
    let mut words = done.split(' ');
    let (runs, seconds) = (words.nth(1)?, words.nth(2)?);
    let corpus = log.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once(" corp: ")?;
        rest.split('/').next()
    })?;
    Some(format!(
        "{runs} executions in {seconds} s, {corpus} inputs in the corpus"
    ))
}

/// Says what did not hold, for which input, and how that becomes a test.
fn tell(target: &str, log: &str, path: &Path) {
    say(&format!("fuzz: {target:<14} found something"));
    let is_what = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let what = log.lines().skip_while(|line| !is_what(line));
    // What did not hold stands in the line after where.
    for line in what.take(2) {
        say(&format!("  {line}"));
    }
    let input = log.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once("Test unit written to ")?;
        Some(rest.trim())
    });
    match input {
        Some(input) => say(&format!(
            "  the input: {input}\n  to keep it: cp {input} fuzz/corpus/{target}/SAY-WHAT-IT-IS, and \
             then cargo test -p sluice-fuzz {target}"
        )),
        None => say("  no input was written"),
    }
    say(&format!("  all of it: {}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_what_libfuzzer_says_last() {
        let log = "#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 40Mb\n\
            #65536\tpulse  cov: 9 ft: 12 corp: 34/1200b lim: 4 exec/s: 21845 rss: 50Mb\n\
            Done 70001 runs in 4 second(s)\n";
        let figures = figures(log).unwrap();
        assert_eq!(figures, "70001 executions in 4 s, 34 inputs in the corpus");
        assert!(super::figures("error: no such target").is_none());
    }

    #[test]
    fn every_target_is_found() {
        assert!(targets().unwrap().contains(&"assertion".to_owned()));
    }
}
