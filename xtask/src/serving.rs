//! `sluice serve` of a folder, on any free port.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::process::Running;

/// One that runs, until this goes.
pub(crate) struct Serving {
    pub(crate) process: Running,
    /// Its FHIR base.
    pub(crate) base: String,
}

impl Serving {
    /// Starts a build of it with more of its settings set, and returns once it answers.
    pub(crate) fn start(
        program: &str,
        (data, home, authorization): (&Path, &Path, &str),
        more: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--data"])
            .arg(data)
            .env("SLUICE_DATA_DIR", home)
            .env("SLUICE_SERVER__LISTEN", "127.0.0.1:0")
            .env("SLUICE_SERVER__AUTHORIZATION", authorization)
            .env("SLUICE_LOG__FILTER", "warn")
            .envs(more.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting sluice serve")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let process = Running(child);
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let base = lines.find_map(|line| line.strip_prefix("FHIR base: ").map(str::to_owned));
        let base = base.context("sluice serve did not start")?;
        // Whoever does not read it makes the server wait.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, base })
    }
}
