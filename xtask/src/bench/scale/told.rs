//! What services tell of chunks: in their metrics and logs.

use anyhow::Context;

use crate::bench::home;
use crate::process::curl;

/// Settings by which a coordinator's log tells of plans, in a form that can be read.
pub(super) fn settings() -> [(&'static str, String); 2] {
    [
        (
            "SLUICE_LOG__FILTER",
            "warn,sluice_engine::plan=info".to_owned(),
        ),
        ("SLUICE_LOG__FORMAT", "json".to_owned()),
    ]
}

/// The sum of a metric of the lane of chunks, over workers at these admin ports.
pub(super) fn sum(workers: &[String], metric: &str) -> anyhow::Result<f64> {
    let pages: Vec<String> = workers.iter().map(|at| format!("{at}/metrics")).collect();
    let words = std::iter::once("-sS").chain(pages.iter().map(String::as_str));
    let text = curl(&words.collect::<Vec<_>>())?;
    let is_wanted = |line: &&str| {
        let rest = line.strip_prefix(metric);
        rest.is_some_and(|rest| rest.starts_with('{') && rest.contains("\"chunks\""))
    };
    let values = text.lines().filter(is_wanted).map(|line| {
        let value = line
            .rsplit(' ')
            .next()
            .context("a metric without a value")?;
        Ok(value.parse::<f64>()?)
    });
    values.sum()
}

/// The chunks of the plan that the coordinator's log says is sealed.
pub(super) fn planned() -> anyhow::Result<Option<f64>> {
    let log = std::fs::read_to_string(home().join("sluice-coordinator.log"))?;
    let sealed = log
        .lines()
        .find(|line| line.contains("plan sealed") && line.ends_with('}'));
    let Some(line) = sealed else {
        return Ok(None);
    };
    let event: serde_json::Value = serde_json::from_str(line)?;
    let chunks = event
        .pointer("/fields/chunks")
        .or_else(|| event.get("chunks"));
    let chunks = chunks.and_then(serde_json::Value::as_f64);
    chunks.context("a plan without chunks in the log").map(Some)
}
