//! docs/BENCHMARKS.md: a section for each benchmark, put in place by its run.

use std::fs;
use std::path::PathBuf;

use super::figures::Table;
use super::machine::described;
use super::{BENCHMARKS, Benchmark};
use crate::run::{root, say};

const OPENING: &str = "# Benchmarks

Written by `cargo xtask bench`, which runs each benchmark below and puts its table here; `cargo xtask bench NAME` runs one. Figures are least, median and
most of turns that alternate, so that what else the machine does falls on all alike; ratios come before absolutes. What limits, what was tried and what is left:
[PERFORMANCE.md](PERFORMANCE.md).
";

fn path() -> PathBuf {
    root().join("docs/BENCHMARKS.md")
}

/// Shows a table, and puts it into the document.
pub(super) fn tell(benchmark: &Benchmark, table: &Table) -> anyhow::Result<()> {
    let markdown = table.markdown();
    say(&format!(
        "\n{}: {}\n\n{markdown}",
        benchmark.name, benchmark.what
    ));
    let section = format!("{}\n\n{}.\n\n{markdown}", benchmark.what, described()?);
    let old = fs::read_to_string(path()).unwrap_or_default();
    let sections = BENCHMARKS.iter().filter_map(|each| {
        let body = if each.name == benchmark.name {
            Some(section.trim())
        } else {
            section_of(&old, each.name)
        };
        body.map(|body| format!("\n## {}\n\n{body}\n", each.name))
    });
    let text: String = std::iter::once(OPENING.to_owned())
        .chain(sections)
        .collect();
    Ok(fs::write(path(), text)?)
}

fn section_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("\n## {name}\n"))?;
    let body = after.split("\n## ").next()?;
    Some(body.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_its_name() {
        let text = "# B\n\n## one\n\nfirst\n\n## two\n\nsecond\n";
        assert_eq!(section_of(text, "one"), Some("first"));
        assert_eq!(section_of(text, "two"), Some("second"));
        assert_eq!(section_of(text, "three"), None);
    }
}
