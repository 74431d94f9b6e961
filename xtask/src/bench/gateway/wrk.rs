//! As many requests as are answered over some connections: wrk of Debian, with a script for what differs from one
//! request to the next.

use std::fs;
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::super::home;

/// Connections that ask at once, all of one thread.
pub(super) const CONNECTIONS: u32 = 64;
/// How long they ask.
const SECONDS: u32 = 4;
const REPORT: &str = include_str!("report.lua");
const TOKENS: &str = include_str!("tokens.lua");
const KICKOFFS: &str = include_str!("kickoffs.lua");

/// What differs from one request to the next.
#[derive(Clone, Copy)]
pub(super) enum Script {
    Nothing,
    /// The assertion; the word is a file of them.
    Tokens,
    /// The time since when is exported; the word is the first, in seconds.
    Kickoffs,
}

/// What came of it.
#[derive(Deserialize)]
pub(super) struct Told {
    pub(super) answers: u64,
    micros: u64,
    /// Without an answer, or with an error for one.
    pub(super) wrong: u64,
    /// Microseconds.
    pub(super) p50: u32,
    pub(super) p99: u32,
}

impl Told {
    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        crate::bench::data::float(self.answers) * 1e6 / crate::bench::data::float(self.micros)
    }
}

/// Asks.
pub(super) fn ask(
    url: &str,
    headers: &[&str],
    (script, word): (Script, &str),
) -> anyhow::Result<Told> {
    let own = match script {
        Script::Nothing => "",
        Script::Tokens => TOKENS,
        Script::Kickoffs => KICKOFFS,
    };
    let file = home().join("gateway.lua");
    fs::write(&file, format!("{REPORT}{own}"))?;
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "1", "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{SECONDS}s"), "--timeout", "10s", "-s"])
        .arg(&file);
    for header in headers {
        wrk.args(["-H", header]);
    }
    let output = wrk.args([url, "--", word]).output();
    let output = output.context("starting wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().find(|line| line.starts_with('{'));
    let Some(told) = told else {
        let other = String::from_utf8_lossy(&output.stderr);
        bail!("wrk told nothing of {url}: {text}{other}");
    };
    Ok(serde_json::from_str(told)?)
}
