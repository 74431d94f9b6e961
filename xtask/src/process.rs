//! Processes that end with whoever started them, and waiting for a server.

use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, bail};

/// Tries to reach something, each after a moment.
const TRIES: u32 = 300;
const MOMENT: Duration = Duration::from_millis(200);

/// A process that ends with this.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _has_ended = self.0.kill();
        let _is_over = self.0.wait();
    }
}

/// What curl prints.
pub(crate) fn curl(words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("curl").args(words).output();
    let output = output.context("starting curl")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where an export that was accepted is asked after, by the head of the answer.
pub(crate) fn accepted(answer: &str) -> anyhow::Result<String> {
    let mut lines = answer.lines();
    let status = lines.find_map(|line| line.strip_prefix("content-location: "));
    let status = status.with_context(|| format!("no export began: {answer}"))?;
    Ok(status.trim().to_owned())
}

/// Waits until something is answered well.
pub(crate) fn wait(url: &str) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        if curl(&["-s", "-o", "/dev/null", "-w", "%{http_code}", url])? == "200" {
            return Ok(());
        }
        std::thread::sleep(MOMENT);
    }
    bail!("{url} does not answer")
}
