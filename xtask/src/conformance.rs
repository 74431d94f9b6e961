//! Holds docs/CONFORMANCE.md: each rule of the list has one row, and each test that a row names exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, bail};

use crate::run::{root, say};

const DOCUMENT: &str = "docs/CONFORMANCE.md";
/// The letters that numbers begin with, and the last number of each.
const RULES: [(char, u16); 2] = [('R', 270), ('C', 54)];
/// What a row may say of a rule. Only `done` needs a test.
const STATES: [&str; 6] = ["done", "choice", "client", "not ours", "open", "untested"];
/// The first cell of a table's head.
const HEAD: &str = "Number";

/// Fails with a line for each number that is missing, doubled or unknown, each unknown state, each
/// `done` without a test, and each test that is not there.
pub(crate) fn check() -> anyhow::Result<()> {
    let text =
        fs::read_to_string(root().join(DOCUMENT)).with_context(|| format!("reading {DOCUMENT}"))?;
    let read = |path: &str| fs::read_to_string(root().join(path)).ok();
    let (rows, mut problems) = rows(&text);
    problems.extend(judge(&rows, &read));
    if !problems.is_empty() {
        bail!("{DOCUMENT} does not hold:\n  {}", problems.join("\n  "));
    }
    say(&format!("conformance: {}", summary(&rows)));
    Ok(())
}

/// One rule, as the document has it.
#[derive(Debug, PartialEq)]
struct Row<'t> {
    /// Where it stands, from 1.
    line: usize,
    number: &'t str,
    what: &'t str,
    state: &'t str,
    /// As `path::name`, without backquotes.
    tests: Vec<&'t str>,
}

/// Reads every table of the document; what is no row of four cells is a problem.
fn rows(text: &str) -> (Vec<Row<'_>>, Vec<String>) {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        let Some(inside) = line.strip_prefix('|') else {
            continue;
        };
        let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
        if cells[0] == HEAD || cells[0].starts_with("--") {
            continue;
        }
        let [number, what, state, shown, ""] = cells[..] else {
            problems.push(format!("line {}: a row has four cells", at + 1));
            continue;
        };
        let tests = shown.split(',').map(|test| test.trim().trim_matches('`'));
        rows.push(Row {
            line: at + 1,
            number,
            what,
            state,
            tests: tests.filter(|test| !test.is_empty()).collect(),
        });
    }
    (rows, problems)
}

/// Compares rows with the list of rules, and with the tests that `read` finds by path.
fn judge(rows: &[Row<'_>], read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing: BTreeSet<String> = numbers().collect();
    let (mut seen, mut problems) = (BTreeSet::new(), Vec::new());
    for row in rows {
        let mut wrong = |what: String| problems.push(format!("line {}: {what}", row.line));
        if !missing.remove(row.number) {
            let doubled = seen.contains(row.number);
            let word = if doubled { "twice" } else { "no rule's number" };
            wrong(format!("{} is {word}", row.number));
        }
        seen.insert(row.number);
        if row.what.is_empty() {
            wrong(format!("{} does not say what Sluice does", row.number));
        }
        if !STATES.contains(&row.state) {
            wrong(format!("{} has no state {:?}", row.number, row.state));
        }
        if row.state == "done" && row.tests.is_empty() {
            wrong(format!("{} is done, and no test shows it", row.number));
        }
        for test in &row.tests {
            if let Err(why) = find(test, read) {
                wrong(format!("{} names {test}: {why}", row.number));
            }
        }
    }
    problems.extend(missing.iter().map(|number| format!("{number} is missing")));
    problems
}

fn numbers() -> impl Iterator<Item = String> {
    let each = |(letter, last): (char, u16)| (1..=last).map(move |n| format!("{letter}-{n:03}"));
    RULES.into_iter().flat_map(each)
}

/// Whether `path::name` is a test.
fn find(test: &str, read: &dyn Fn(&str) -> Option<String>) -> Result<(), &'static str> {
    let (path, name) = test
        .rsplit_once("::")
        .ok_or("a test is named path.rs::name")?;
    let source = read(path).ok_or("there is no such file")?;
    if has_test(&source, name) {
        Ok(())
    } else {
        Err("there is no such test in it")
    }
}

fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let begins = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let mut places = (0..lines.len()).filter(|at| begins(lines[*at]));
    places.any(|at| is_marked(&lines[..at]))
}

/// Whether a function below these lines is run as a test.
fn is_marked(above: &[&str]) -> bool {
    // Attributes and comments belong to the function; the end of something else does not.
    let apart = |line: &&&str| line.is_empty() || line.ends_with(['{', '}', ';']);
    let own: Vec<&&str> = above.iter().rev().take_while(|line| !apart(line)).collect();
    let skipped = own.iter().any(|line| line.starts_with("#[ignore"));
    !skipped && own.iter().any(|line| is_test_attribute(line))
}

/// `#[test]`, `#[tokio::test(…)]`, `#[actix_web::test]` and their like.
fn is_test_attribute(line: &str) -> bool {
    let inside = line.strip_prefix("#[").unwrap_or_default();
    let path = inside.split(['(', ']']).next().unwrap_or_default();
    path.rsplit("::").next() == Some("test")
}

fn summary(rows: &[Row<'_>]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.state).or_default() += 1;
    }
    let counts = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"));
    format!(
        "{} rules: {}",
        rows.len(),
        counts.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        #[test]
        fn plain() {}
        /// Says why.
        #[tokio::test(start_paused = true)]
        #[expect(
            clippy::too_many_lines,
            reason = "a table"
        )]
        async fn paused() {}
        proptest! {
            /// Any.
            #[test]
            fn property(n in 0..3) {}
        }
        fn helper() {}
        #[test]
        #[ignore]
        fn skipped() {}
        #[actix_web::test]
        async fn web() { helper(); }

        fn behind() {}
    "#;

    fn read(path: &str) -> Option<String> {
        (path == "a/b.rs").then(|| SOURCE.to_owned())
    }

    /// The whole list as one table, with other rows for some numbers.
    fn table(others: &[&str]) -> String {
        let number = |row: &str| {
            row.trim_matches(['|', ' '])
                .split(' ')
                .next()
                .map(str::to_owned)
        };
        let others_named: Vec<_> = others.iter().filter_map(|row| number(row)).collect();
        let head = "# T\n\n| Number | What | State | Shown by |\n|---|---|---|---|\n";
        let rows = numbers()
            .filter(|number| !others_named.contains(number))
            .map(|number| format!("| {number} | it does | done | `a/b.rs::plain` |\n"));
        head.to_owned() + &rows.collect::<String>() + &others.join("\n")
    }

    fn problems(others: &[&str]) -> Vec<String> {
        let text = table(others);
        let (rows, mut problems) = rows(&text);
        problems.extend(judge(&rows, &read));
        problems
    }

    /// The one problem of the list with this row for another.
    fn problem(row: &str) -> String {
        let found = problems(&[row]);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn a_whole_list_holds_and_is_counted() {
        assert_eq!(problems(&[]), [""; 0]);
        let text = table(&["| R-001 | later | open | |", "| C-054 | so | not ours | |"]);
        let (rows, _) = rows(&text);
        let told = "324 rules: 322 done, 1 not ours, 1 open";
        assert_eq!(summary(&rows), told);
        assert_eq!(rows[0].line, 5);
    }

    #[test]
    fn numbers_are_there_once_each() {
        let missing = table(&[]).replace("| R-017 | it does | done | `a/b.rs::plain` |\n", "");
        let (rows, _) = rows(&missing);
        assert_eq!(judge(&rows, &read), ["R-017 is missing"]);
        let twice = problems(&["| R-007 | a | open | |", "| R-007 | b | open | |"]);
        assert_eq!(twice, ["line 329: R-007 is twice"]);
        for unknown in ["R-271", "C-055", "R-1", "T-001", "", "R-000"] {
            let told = problem(&format!("| {unknown} | a | open | |"));
            assert!(told.ends_with("is no rule's number"), "{told}");
        }
    }

    #[test]
    fn states_are_known_and_done_needs_a_test() {
        assert!(problem("| R-001 | a | finished | |").contains("no state \"finished\""));
        assert!(problem("| R-001 | a | done | |").contains("no test shows it"));
        assert!(problem("| R-001 | | open | |").contains("what Sluice does"));
        for state in STATES.iter().filter(|state| **state != "done") {
            assert_eq!(problems(&[&format!("| R-001 | a | {state} | |")]), [""; 0]);
        }
    }

    #[test]
    fn rows_have_four_cells() {
        for row in [
            "| R-001 | a | open |",
            "| R-001 | a | b | open | |",
            "| R-001",
        ] {
            let found = problems(&[row]);
            assert_eq!(
                found,
                ["line 328: a row has four cells", "R-001 is missing"]
            );
        }
    }

    #[test]
    fn tests_that_are_named_are_there() {
        for name in ["plain", "paused", "property", "web"] {
            let row = format!("| R-001 | a | done | `a/b.rs::plain`, `a/b.rs::{name}` |");
            assert_eq!(problems(&[&row]), [""; 0], "{name}");
        }
        for name in ["helper", "skipped", "behind", "plai", "lain", "nothing"] {
            let told = problem(&format!("| R-001 | a | open | `a/b.rs::{name}` |"));
            assert!(told.ends_with("there is no such test in it"), "{told}");
            assert!(told.starts_with("line 328: R-001 names a/b.rs::"), "{told}");
        }
        let told = problem("| R-001 | a | done | `a/c.rs::plain` |");
        assert!(told.ends_with("there is no such file"), "{told}");
        let told = problem("| R-001 | a | done | plain |");
        assert!(told.ends_with("path.rs::name"), "{told}");
    }

    #[test]
    fn the_document_holds() {
        check().unwrap();
    }
}
