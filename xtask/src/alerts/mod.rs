//! Holds what is watched: alert rules and their tests, dashboards, and the pages that say what to do.
//!
//! A metric that a rule or a dashboard names must be one of docs/METRICS.md. That document in turn is held
//! against what running processes tell by `crates/e2e/tests/distributed/telemetry.rs`, in both directions; so
//! nothing here can name a metric that no process has.

mod dashboards;
mod pages;
mod promql;
pub(crate) mod promtool;
mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::run::{root, say};
use dashboards::Dashboard;
use rules::Rule;

pub(crate) use pages::Page;

const FOLDER: &str = "deploy/observe";
const RULES: &str = "deploy/observe/rules";
const TESTS: &str = "deploy/observe/rules/tests";
const DASHBOARDS: &str = "deploy/observe/dashboards";
const METRICS: &str = "docs/METRICS.md";
/// Series that are Prometheus' own, or that its exporters add.
const OTHERS: [&str; 3] = ["up", "ALERTS", "target_info"];

/// Fails with a line for each thing that does not hold. Without a network promtool cannot be fetched; that is said
/// and is no failure.
pub(crate) fn check() -> anyhow::Result<()> {
    let watched = Watched::read()?;
    let problems = watched.problems();
    if !problems.is_empty() {
        bail!(
            "what is watched does not hold:\n  {}",
            problems.join("\n  ")
        );
    }
    match promtool::tool("promtool") {
        Some(tool) => watched.ask(&tool)?,
        None => say("alerts: promtool left out, because Debian's prometheus cannot be fetched"),
    }
    let alerts = watched.rules.iter().filter(|rule| rule.alerts).count();
    say(&format!(
        "alerts: {alerts} alerts, {} dashboards, {} runbooks",
        watched.dashboards.len(),
        watched.pages.len()
    ));
    Ok(())
}

/// All of it.
struct Watched {
    rules: Vec<Rule>,
    /// Alerts that a test expects to fire.
    fired: BTreeSet<String>,
    dashboards: Vec<Dashboard>,
    pages: Vec<Page>,
    /// The page that lists the others.
    index: String,
    documented: BTreeSet<String>,
}

impl Watched {
    fn read() -> anyhow::Result<Self> {
        let mut rules = Vec::new();
        for (_, text) in texts(RULES, "yaml")? {
            rules.extend(rules::rules(&text));
        }
        let mut fired = BTreeSet::new();
        for (_, text) in texts(TESTS, "yaml")? {
            fired.append(&mut rules::fired(&text));
        }
        let (pages, index) = pages::read()?;
        Ok(Self {
            rules,
            fired,
            dashboards: dashboards::read(texts(DASHBOARDS, "json")?)?,
            pages,
            index,
            documented: documented(&read(METRICS)?),
        })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = pages::judge(&self.rules, &self.pages, &self.index);
        for rule in &self.rules {
            if rule.expression.is_empty() {
                problems.push(format!("{} has no expression that is found", rule.name));
            }
            if rule.alerts && !self.fired.contains(&rule.name) {
                problems.push(format!("no test in {TESTS} lets {} fire", rule.name));
            }
            problems.extend(self.unknown(&rule.name, &rule.expression));
        }
        for dashboard in &self.dashboards {
            for expression in &dashboard.expressions {
                problems.extend(self.unknown(&dashboard.file, expression));
            }
        }
        problems.extend(dashboards::judge(&self.dashboards));
        problems
    }

    /// A line for each metric that nobody has.
    fn unknown(&self, place: &str, expression: &str) -> Vec<String> {
        let names = promql::metrics(expression).into_iter();
        let unknown = names.filter(|name| !self.is_known(name));
        let told = unknown.map(|name| format!("{place} names {name}, which is not in {METRICS}"));
        told.collect()
    }

    fn is_known(&self, name: &str) -> bool {
        let part = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part));
        let recorded = |name: &str| {
            self.rules
                .iter()
                .any(|rule| !rule.alerts && rule.name == name)
        };
        let has = |name: &str| self.documented.contains(name);
        has(name) || part.is_some_and(has) || recorded(name) || OTHERS.contains(&name)
    }

    /// Has promtool look at the configuration, the rules, the expressions of dashboards, and run the tests.
    fn ask(&self, tool: &Path) -> anyhow::Result<()> {
        promtool::run(tool, FOLDER, &["check", "config", "prometheus.yaml"])?;
        let panels = root().join("target/alerts");
        fs::create_dir_all(&panels).context("making target/alerts")?;
        let panels = panels.join("panels.json");
        fs::write(&panels, dashboards::as_rules(&self.dashboards))?;
        promtool::run(tool, ".", &["check", "rules", &panels.to_string_lossy()])?;
        let tests: Vec<String> = texts(TESTS, "yaml")?
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let mut words = vec!["test", "rules"];
        words.extend(tests.iter().map(String::as_str));
        promtool::run(tool, TESTS, &words)
    }
}

/// What every panel asks, with the file it is in, as Prometheus understands it.
pub(crate) fn panels() -> anyhow::Result<Vec<(String, String)>> {
    let dashboards = dashboards::read(texts(DASHBOARDS, "json")?)?;
    let asked = dashboards.into_iter().flat_map(|dashboard| {
        let expressions = dashboard.expressions.into_iter();
        let file = dashboard.file;
        expressions.map(move |expression| (file.clone(), dashboards::plain(&expression)))
    });
    Ok(asked.collect())
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("reading {path}"))
}

/// Names and texts of the files of a kind in a folder, in order.
fn texts(folder: &str, kind: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(root().join(folder)).with_context(|| format!("reading {folder}"))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == kind) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            found.push((name.into_owned(), fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

/// The names in the first column of the table.
fn documented(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let first = rows.filter_map(|row| row.split('|').next());
    let names = first.flat_map(|names| names.split(", "));
    names
        .map(|name| name.trim_matches(['`', ' ']).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, expression: &str) -> Rule {
        Rule {
            name: name.to_owned(),
            alerts: !name.contains(':'),
            expression: expression.to_owned(),
            runbook: format!("{}a.md", pages::BASE),
        }
    }

    fn watched() -> Watched {
        let page = "# A\n\nAlerts: `SluiceA`\n\n```sh first\ntrue\n```\n";
        Watched {
            rules: vec![rule("a:b", "sum(x_total)"), rule("SluiceA", "a:b > 0")],
            fired: BTreeSet::from(["SluiceA".to_owned()]),
            dashboards: Vec::new(),
            pages: vec![Page::new("a.md", page)],
            index: String::new(),
            documented: documented("| Metric |\n| `x_total`, `y_seconds` | `z` | all |\n"),
        }
    }

    #[test]
    fn what_fits_has_no_problem() {
        assert_eq!(watched().problems(), [""; 0]);
    }

    #[test]
    fn metrics_are_documented() {
        for (expression, unknown) in [
            ("rate(y_seconds_bucket[5m]) + up + a:b", None),
            ("z", Some("SluiceA names z, which")),
            ("b:c", Some("SluiceA names b:c, which")),
            ("x_total_total", Some("SluiceA names x_total_total, which")),
        ] {
            let mut watched = watched();
            watched.rules[1] = rule("SluiceA", expression);
            let problems = watched.problems();
            assert_eq!(
                problems.len(),
                usize::from(unknown.is_some()),
                "{problems:?}"
            );
            let told = problems.first().map_or("", String::as_str);
            assert!(told.starts_with(unknown.unwrap_or_default()), "{told}");
        }
    }

    #[test]
    fn every_alert_is_tested() {
        let mut watched = watched();
        watched.fired.clear();
        assert_eq!(
            watched.problems(),
            ["no test in deploy/observe/rules/tests lets SluiceA fire"]
        );
    }

    #[test]
    fn all_that_is_watched_holds() {
        assert_eq!(Watched::read().unwrap().problems(), [""; 0]);
    }
}
