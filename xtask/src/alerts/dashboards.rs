//! Grafana's dashboards: the `PromQL` in them, and whether they are such that Grafana takes them.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::{Value, json};

/// Data sources as deploy/observe/grafana provides them.
const SOURCES: [&str; 2] = ["prometheus", "jaeger"];
/// Words of Grafana's own in the place of a duration.
const INTERVALS: [&str; 3] = ["$__rate_interval", "$__interval", "$__range"];

/// One of them.
pub(super) struct Dashboard {
    /// The file's name.
    pub(super) file: String,
    /// `PromQL` of panels and variables.
    pub(super) expressions: Vec<String>,
    uid: String,
    /// Data sources by their ids.
    sources: BTreeSet<String>,
    /// Ids of panels, as often as they stand there.
    panels: Vec<i64>,
}

/// Reads files by name and text.
pub(super) fn read(files: Vec<(String, String)>) -> anyhow::Result<Vec<Dashboard>> {
    files
        .into_iter()
        .map(|(file, text)| {
            let whole: Value = serde_json::from_str(&text).with_context(|| file.clone())?;
            Ok(dashboard(file, &whole))
        })
        .collect()
}

fn dashboard(file: String, whole: &Value) -> Dashboard {
    let (mut expressions, mut sources) = (Vec::new(), BTreeSet::new());
    collect(whole, &mut expressions, &mut sources);
    let panels = whole["panels"].as_array().into_iter().flatten();
    Dashboard {
        file,
        expressions,
        uid: whole["uid"].as_str().unwrap_or_default().to_owned(),
        sources,
        panels: panels.filter_map(|panel| panel["id"].as_i64()).collect(),
    }
}

fn collect(value: &Value, expressions: &mut Vec<String>, sources: &mut BTreeSet<String>) {
    if let Some(expression) = value["expr"].as_str() {
        expressions.push(expression.to_owned());
    }
    if let Some(query) = value["query"]["query"].as_str() {
        // `label_values(metric, label)` is Grafana's own.
        let inner = query.strip_prefix("label_values(");
        let metric = inner.and_then(|inner| inner.rsplit_once(','));
        expressions.push(metric.map_or(query, |(metric, _)| metric).to_owned());
    }
    if let Some(source) = value["datasource"]["uid"].as_str() {
        sources.insert(source.to_owned());
    }
    let inner: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    for value in inner {
        collect(value, expressions, sources);
    }
}

/// A line for each that Grafana would not show as it is meant.
pub(super) fn judge(dashboards: &[Dashboard]) -> Vec<String> {
    let (mut problems, mut uids) = (Vec::new(), BTreeSet::new());
    for dashboard in dashboards {
        let file = &dashboard.file;
        if dashboard.uid.is_empty() || !uids.insert(&dashboard.uid) {
            problems.push(format!("{file} has no uid of its own"));
        }
        let ids: BTreeSet<&i64> = dashboard.panels.iter().collect();
        if ids.is_empty() || ids.len() < dashboard.panels.len() {
            problems.push(format!("{file} has no panels with ids of their own"));
        }
        let unknown = dashboard.sources.iter();
        let unknown = unknown.filter(|source| !SOURCES.contains(&source.as_str()));
        problems.extend(unknown.map(|source| format!("{file}: there is no data source {source}")));
    }
    problems
}

/// An expression as Prometheus takes it, with what Grafana would put in.
pub(super) fn plain(expression: &str) -> String {
    let text = expression
        .replace("$tenant", ".*")
        .replace("$namespace", ".*");
    INTERVALS
        .iter()
        .fold(text, |text, word| text.replace(word, "5m"))
}

/// A rule file with each expression, so that promtool looks at them.
pub(super) fn as_rules(dashboards: &[Dashboard]) -> String {
    let groups: Vec<Value> = dashboards
        .iter()
        .map(|dashboard| {
            let rules = dashboard.expressions.iter().enumerate();
            let rules = rules.map(|(at, expression)| {
                json!({"record": format!("panel:{at}"), "expr": plain(expression)})
            });
            json!({"name": dashboard.file, "rules": rules.collect::<Vec<_>>()})
        })
        .collect();
    json!({ "groups": groups }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(change: impl FnOnce(&mut Value)) -> Dashboard {
        let mut whole = json!({
            "uid": "a",
            "templating": {"list": [{"query": {"query": "label_values(work, tenant)"}}]},
            "panels": [
                {"id": 1, "datasource": {"uid": "prometheus"}, "targets": [{"expr": "rate(x[$__rate_interval])"}]},
                {"id": 2, "datasource": {"uid": "jaeger"}, "targets": [{"tags": "job=$job"}]},
            ],
        });
        change(&mut whole);
        dashboard("a.json".to_owned(), &whole)
    }

    #[test]
    fn expressions_of_panels_and_variables_are_found() {
        let mut found = made(|_| ()).expressions;
        found.sort();
        assert_eq!(found, ["rate(x[$__rate_interval])", "work"]);
        let rules: Value = serde_json::from_str(&as_rules(&[made(|_| ())])).unwrap();
        let told = rules["groups"][0]["rules"].to_string();
        assert!(told.contains("\"expr\":\"rate(x[5m])\""), "{told}");
    }

    #[test]
    fn ids_are_there_once_and_sources_are_provided() {
        assert_eq!(judge(&[made(|_| ())]), [""; 0]);
        for (change, problem) in [
            (json!({"uid": ""}), "a.json has no uid of its own"),
            (
                json!({"panels": []}),
                "a.json has no panels with ids of their own",
            ),
            (
                json!({"panels": [{"id": 1}, {"id": 1}]}),
                "a.json has no panels with ids of their own",
            ),
            (
                json!({"panels": [{"id": 1, "datasource": {"uid": "loki"}}]}),
                "a.json: there is no data source loki",
            ),
        ] {
            let wrong = made(|whole| {
                for (key, value) in change.as_object().unwrap() {
                    whole[key] = value.clone();
                }
            });
            assert_eq!(judge(&[wrong]), [problem]);
        }
        let twice = judge(&[made(|_| ()), made(|_| ())]);
        assert_eq!(twice, ["a.json has no uid of its own"]);
    }
}
