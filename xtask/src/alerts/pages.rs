//! The pages of docs/runbooks: each says which alerts it is for, and what to run first.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context;

use super::{rules::Rule, texts};
use crate::run::root;

const FOLDER: &str = "docs/runbooks";
const INDEX: &str = "README.md";
/// Where alerts say that pages are.
pub(super) const BASE: &str = "https://github.com/sluice-health/sluice/blob/main/docs/runbooks/";
/// The block that a page begins with.
const FIRST: &str = "```sh first";
/// What the names of all alerts begin with, before another capital letter.
const PREFIX: &str = "Sluice";

/// One page.
pub(crate) struct Page {
    /// The file's name.
    pub(crate) name: String,
    text: String,
}

impl Page {
    /// A page of this name and text.
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (name, text) = (name.into(), text.into());
        Self { name, text }
    }

    /// All pages but the one that lists them.
    pub(crate) fn all() -> anyhow::Result<Vec<Self>> {
        Ok(read()?.0)
    }

    /// Its blocks of what to run first; there should be one.
    fn firsts(&self) -> Vec<&str> {
        let blocks = self.text.split(FIRST).skip(1);
        let inside = blocks.filter_map(|block| block.split("```").next());
        inside.map(str::trim).collect()
    }

    /// What to run first.
    pub(crate) fn first(&self) -> Option<&str> {
        self.firsts().first().copied()
    }

    /// Alerts that it names.
    fn alerts(&self) -> BTreeSet<&str> {
        let words = self.text.split(|c: char| !c.is_ascii_alphanumeric());
        let named = words.filter(|word| {
            let rest = word.strip_prefix(PREFIX);
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        });
        named.collect()
    }
}

/// The pages, and the one that lists them.
pub(super) fn read() -> anyhow::Result<(Vec<Page>, String)> {
    let index = fs::read_to_string(root().join(FOLDER).join(INDEX));
    let index = index.with_context(|| format!("reading {FOLDER}/{INDEX}"))?;
    let all = texts(FOLDER, "md")?.into_iter();
    let pages = all.filter(|(name, _)| name != INDEX);
    let pages = pages.map(|(name, text)| Page::new(name, text));
    Ok((pages.collect(), index))
}

/// A line for each alert without a page that knows it, and each page that nobody leads to.
pub(super) fn judge(rules: &[Rule], pages: &[Page], index: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let alerts: Vec<&Rule> = rules.iter().filter(|rule| rule.alerts).collect();
    for alert in &alerts {
        let name = alert.runbook.strip_prefix(BASE);
        match pages.iter().find(|page| Some(page.name.as_str()) == name) {
            None => problems.push(format!("{} has no page {}", alert.name, alert.runbook)),
            Some(page) if !page.alerts().contains(alert.name.as_str()) => {
                problems.push(format!("{} does not name {}", page.name, alert.name));
            }
            Some(_) => {}
        }
    }
    for page in pages {
        let url = format!("{BASE}{}", page.name);
        let linked = index.contains(&format!("({})", page.name));
        if !linked && !alerts.iter().any(|alert| alert.runbook == url) {
            problems.push(format!("nothing leads to {FOLDER}/{}", page.name));
        }
        if page.firsts().len() != 1 {
            problems.push(format!("{} has not one block `{FIRST}`", page.name));
        }
        let known = |name: &&str| alerts.iter().any(|alert| alert.name == **name);
        let unknown = page.alerts().into_iter().filter(|name| !known(name));
        problems.extend(unknown.map(|name| format!("{}: there is no alert {name}", page.name)));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A\n\n`SluiceA`, not Sluice itself.\n\n```sh first\ntrue |\n  cat\n```\n\n```sh\nfalse\n```\n";

    fn alert(name: &str, page: &str) -> Rule {
        Rule {
            name: name.to_owned(),
            alerts: true,
            runbook: format!("{BASE}{page}"),
            ..Rule::default()
        }
    }

    #[test]
    fn the_first_command_is_the_one_that_says_so() {
        assert_eq!(Page::new("a.md", TEXT).first(), Some("true |\n  cat"));
    }

    #[test]
    fn alerts_and_pages_know_each_other() {
        let (a, b) = (alert("SluiceA", "a.md"), alert("SluiceB", "b.md"));
        let page = || Page::new("a.md", TEXT);
        assert_eq!(judge(&[a], &[page()], ""), [""; 0]);
        let told = judge(&[alert("SluiceA", "a.md"), b], &[page()], "");
        assert_eq!(told, [format!("SluiceB has no page {BASE}b.md")]);
        let told = judge(&[alert("SluiceB", "a.md")], &[page()], "");
        let expected = [
            "a.md does not name SluiceB",
            "a.md: there is no alert SluiceA",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_page_is_led_to_and_says_what_to_run_first() {
        let page = Page::new("b.md", "# B\n");
        let told = judge(&[], &[page], "see [b](b.md)");
        assert_eq!(told, ["b.md has not one block ````sh first`"]);
        let told = judge(&[], &[Page::new("b.md", "```sh first\ntrue\n```")], "");
        assert_eq!(told, ["nothing leads to docs/runbooks/b.md"]);
    }
}
