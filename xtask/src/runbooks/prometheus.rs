//! Prometheus beside the services: takes in the rules, scrapes, and is asked what every panel of a dashboard asks.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::site::{Site, start};
use crate::alerts::{panels, promtool};
use crate::process::{Running, curl, wait};
use crate::run::{root, say};

/// Tries until it has seen everybody, each after a moment.
const TRIES: u32 = 60;
const MOMENT: Duration = Duration::from_millis(500);
/// Alerts that may fire over processes that are as they should be, for there are none of the kind elsewhere.
const FIRING: &str = "ALERTS{alertstate=\"firing\"}";

/// One that runs.
pub(super) struct Watching {
    address: String,
    processes: usize,
    _running: Running,
}

/// Starts it, if it is installed or can be fetched.
pub(super) fn start_beside(site: &Site) -> anyhow::Result<Option<Watching>> {
    let Some(program) = promtool::tool("prometheus") else {
        say("runbooks: dashboards left out, because Debian's prometheus cannot be fetched");
        return Ok(None);
    };
    let [port] = sluice_stack::free_ports::<1>()?;
    let scrapes: Vec<Value> = site
        .ports
        .iter()
        .enumerate()
        .map(|(at, (program, port))| {
            // A name of a job may stand there once only.
            let targets = [json!({"targets": [format!("127.0.0.1:{port}")]})];
            json!({"job_name": format!("{program}-{at}"), "static_configs": targets})
        })
        .collect();
    let config = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [root().join("deploy/observe/rules/*.yaml")],
        "scrape_configs": scrapes,
    });
    // JSON is YAML too.
    let file = site.home.join("prometheus.json");
    fs::write(&file, config.to_string()).context("configuring Prometheus")?;
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            site.home.join("prometheus").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    let running = start(&mut command, &site.home.join("prometheus.log"))?;
    wait(&format!("http://{address}/-/ready"))?;
    Ok(Some(Watching {
        address,
        processes: site.ports.len(),
        _running: running,
    }))
}

impl Watching {
    /// Asks what every panel asks. A line for each question that is none, and each alert that fires.
    pub(super) fn ask_all(&self) -> anyhow::Result<Vec<String>> {
        self.wait_for_everybody()?;
        let mut problems = Vec::new();
        let (mut answered, mut empty) = (0, Vec::new());
        for (file, expression) in panels()? {
            match self.ask(&expression) {
                Ok(0) => empty.push(format!("{file}: {expression}")),
                Ok(_) => answered += 1,
                Err(error) => problems.push(format!("{file}: {expression}: {error:#}")),
            }
        }
        say(&format!(
            "dashboards: {answered} queries have an answer, these have none here:"
        ));
        for line in empty {
            say(&format!("  {line}"));
        }
        if self.ask(FIRING)? > 0 {
            problems.push("an alert fires, and all is as it should be".to_owned());
        }
        Ok(problems)
    }

    fn wait_for_everybody(&self) -> anyhow::Result<()> {
        // Two scrapes of each, so that there are rates.
        let seen = format!("count(count_over_time(up[1m]) > 1) == {}", self.processes);
        for _ in 0..TRIES {
            if self.ask(&seen)? > 0 {
                return Ok(());
            }
            std::thread::sleep(MOMENT);
        }
        bail!("Prometheus does not see {} processes", self.processes)
    }

    /// How many series an expression comes to.
    fn ask(&self, expression: &str) -> anyhow::Result<usize> {
        let url = format!("http://{}/api/v1/query", self.address);
        let query = format!("query={expression}");
        let answer = curl(&["-sS", &url, "--data-urlencode", &query])?;
        let answer: Value = serde_json::from_str(&answer).context("what Prometheus answered")?;
        if answer["status"] != "success" {
            bail!("{}", answer["error"]);
        }
        let series = answer["data"]["result"].as_array();
        Ok(series.map_or(0, Vec::len))
    }
}
