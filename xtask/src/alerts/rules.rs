//! Reads rule files of Prometheus and their tests, as they are written here: a key a line. What promtool
//! would take and this would not read is a problem that `check` tells of, as something is missing then.

use std::collections::BTreeSet;

/// One alerting or recording rule.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rule {
    /// Its name.
    pub(super) name: String,
    /// Whether it alerts; others record.
    pub(super) alerts: bool,
    /// Its `PromQL`.
    pub(super) expression: String,
    /// Where an alert says what to do.
    pub(super) runbook: String,
}

/// Every rule of a file.
pub(super) fn rules(text: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let (key, value) = keyed(line);
        match (key, rules.last_mut()) {
            ("- alert" | "- record", _) => rules.push(Rule {
                name: value.to_owned(),
                alerts: key == "- alert",
                ..Rule::default()
            }),
            ("expr", Some(rule)) if value.starts_with(['|', '>']) => {
                let depth = indent(line);
                while let Some(inner) = lines.next_if(|next| indent(next) > depth) {
                    rule.expression += inner.trim();
                    rule.expression.push('\n');
                }
            }
            ("expr", Some(rule)) => value.clone_into(&mut rule.expression),
            ("runbook_url", Some(rule)) => value.clone_into(&mut rule.runbook),
            _ => {}
        }
    }
    rules
}

/// Alerts that a test of this file expects to fire.
pub(super) fn fired(text: &str) -> BTreeSet<String> {
    let mut fired = BTreeSet::new();
    let mut alert = "";
    for line in text.lines() {
        match keyed(line) {
            ("alertname", name) => alert = name,
            ("exp_alerts", "") => {
                fired.insert(alert.to_owned());
            }
            _ => {}
        }
    }
    fired
}

fn keyed(line: &str) -> (&str, &str) {
    let line = line.trim();
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    (key, value.trim())
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "groups:
  - name: work
    rules:
      # Why: so.
      - record: a:b
        expr: sum(x)
      - alert: Down
        expr: |
          up == 0
            and on () y
        for: 2m
        annotations:
          summary: \"a: b\"
          runbook_url: https://host/docs/down.md
";

    #[test]
    fn names_expressions_and_pages_are_read() {
        let [record, alert] = &rules(RULES)[..] else {
            panic!("{:?}", rules(RULES));
        };
        assert_eq!((record.name.as_str(), record.alerts), ("a:b", false));
        assert_eq!(record.expression, "sum(x)");
        assert_eq!((alert.name.as_str(), alert.alerts), ("Down", true));
        assert_eq!(alert.expression, "up == 0\nand on () y\n");
        assert_eq!(alert.runbook, "https://host/docs/down.md");
    }

    #[test]
    fn a_test_that_expects_nothing_shows_no_alert() {
        let text = "
      - eval_time: 1m
        alertname: Quiet
        exp_alerts: []
      - eval_time: 1m
        alertname: Loud
        exp_alerts:
          - exp_labels: { severity: page }
";
        assert_eq!(fired(text), BTreeSet::from(["Loud".to_owned()]));
    }
}
