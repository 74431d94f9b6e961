//! The same label or annotation may be said in several places: it stands once in what comes out, as the nearest place
//! says, and what something is selected by is never another.

use serde_json::Value;

use super::objects::{Objects, name};
use super::render::{Case, render};
use super::tools::Tools;

/// One key in each place that labels can be given in; the chart itself has some of them.
const SAID: [&str; 12] = [
    "commonLabels.team=common",
    "commonLabels.tier=common",
    "commonLabels.app\\.kubernetes\\.io/part-of=records",
    "commonLabels.app\\.kubernetes\\.io/managed-by=hand",
    "commonLabels.sluice\\.health/port=none",
    "podLabels.team=pods",
    "podLabels.tier=pods",
    "worker.podLabels.team=workers",
    "podAnnotations.checksum/settings=none",
    "monitoring.serviceMonitor.labels.team=monitors",
    "monitoring.prometheusRule.labels.team=rules",
    "monitoring.dashboards.labels.team=boards",
];

pub(crate) fn check(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    // All other rules trust that what helm makes is read so.
    if tools.documents("a:\n  b: 1\n  b: 2\n").is_ok() {
        problems.push("a key that stands twice is read as if it stood once".to_owned());
    }
    // Both would fail where a key stands twice.
    let plain = render(tools, &Case::of("full", &[]))?;
    let said = render(tools, &Case::of("full", &SAID))?;
    problems.extend(objects(&said));
    for (before, after) in plain.workloads().iter().zip(said.workloads()) {
        if before.selector() != after.selector() {
            problems.push(format!("{}: it selects by what values say", after.name()));
        }
    }
    Ok(problems)
}

fn objects(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    for object in objects.all() {
        let team = match object["kind"].as_str().unwrap_or_default() {
            "ServiceMonitor" => "monitors",
            "PrometheusRule" => "rules",
            "ConfigMap" if object["data"]["sluice.toml"].is_null() => "boards",
            _ => "common",
        };
        let labels = &object["metadata"]["labels"];
        let wanted = [("team", team), ("tier", "common")];
        problems.extend(told(&name(object), labels, &wanted));
        let is_admin = name(object).ends_with("-admin");
        if is_admin && labels["sluice.health/port"] != "admin" {
            problems.push(format!("{}: no monitor finds it", name(object)));
        }
    }
    for workload in objects.workloads() {
        let metadata = &workload.template()["metadata"];
        let team = if workload.role() == "worker" {
            "workers"
        } else {
            "pods"
        };
        let wanted = [("team", team), ("tier", "pods")];
        let owner = format!("pods of {}", workload.name());
        problems.extend(told(&owner, &metadata["labels"], &wanted));
        if metadata["annotations"]["checksum/settings"] == "none" {
            problems.push(format!("{owner}: other settings leave them as they are"));
        }
    }
    problems
}

fn told(owner: &str, labels: &Value, wanted: &[(&str, &str)]) -> Vec<String> {
    let always = [
        ("app.kubernetes.io/part-of", "records"),
        // Helm refuses to take over what is not its own.
        ("app.kubernetes.io/managed-by", "Helm"),
    ];
    let wanted = wanted.iter().chain(&always);
    let others = wanted.filter(|(key, value)| labels[*key] != *value);
    others
        .map(|(key, value)| format!("{owner}: its label {key} is {}, not {value}", labels[*key]))
        .collect()
}
