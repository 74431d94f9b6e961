//! Holds docs/LOGS.md to the sources: what it lists is what the programs can log, no more and no less.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::root;

/// Programs' parts that only tests have.
const OF_TESTS: [&str; 5] = ["testkit", "e2e", "stack", "fuzz", "sample"];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// One event: level, target, message, fields.
type Event = (String, String, String, String);

#[test]
fn the_log_reference_lists_what_is_logged() {
    let logged = logged();
    assert!(logged.len() > 50, "were the macros renamed?");
    let listed = listed(&fs::read_to_string(root().join("docs/LOGS.md")).unwrap());
    let lines = |events: Vec<&Event>| -> String {
        let row = |(level, target, message, fields): &Event| {
            format!("| {level} | {message} | {fields} | `{target}` | |\n")
        };
        events.into_iter().map(row).collect()
    };
    let missing = lines(logged.difference(&listed).collect());
    let gone = lines(listed.difference(&logged).collect());
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/LOGS.md lacks\n{missing}and lists what is not logged\n{gone}"
    );
}

#[test]
fn an_event_is_read_with_its_fields_and_message() {
    let text = "fn f() { tracing::warn!(\n  job = %record.name, ?lane, (a, b).0,\n  \"a \\\"b\\\" (c), {d}\" \n); }";
    let found = events(text, "x");
    let expected = ("warn", "x", "a \"b\" (c), {d}", "job, lane, (a, b).0");
    let (level, target, message, fields) = &found[0];
    let seen: (&str, &str, &str, &str) = (level, target, message, fields);
    assert_eq!(seen, expected);
}

/// Rows of the tables whose first column is a level.
fn listed(text: &str) -> BTreeSet<Event> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, level, message, fields, target, ..] = cells.as_slice() else {
            return None;
        };
        let target = target.trim_matches('`');
        LEVELS.contains(level).then(|| {
            let owned = [level, target, message, fields].map(str::to_owned);
            let [level, target, message, fields] = owned;
            (level, target, message, fields)
        })
    });
    rows.collect()
}

fn logged() -> BTreeSet<Event> {
    let mut all = BTreeSet::new();
    for folder in ["crates", "services"] {
        for part in fs::read_dir(root().join(folder)).unwrap() {
            let part = part.unwrap();
            let name = part.file_name().into_string().unwrap();
            let sources = part.path().join("src");
            if OF_TESTS.contains(&name.as_str()) || !sources.exists() {
                continue;
            }
            let base = match (folder, name.as_str()) {
                ("services", "sluice") => name,
                _ => format!("sluice_{}", name.replace('-', "_")),
            };
            for file in files(&sources) {
                let text = fs::read_to_string(&file).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let target = target(&base, file.strip_prefix(&sources).unwrap());
                all.extend(events(code, &target));
            }
        }
    }
    all
}

/// The module that a file is, which is an event's target.
fn target(base: &str, file: &Path) -> String {
    let path = file.with_extension("");
    let modules = path.iter().map(|part| part.to_str().unwrap());
    let modules = modules.filter(|part| !["mod", "lib", "main"].contains(part));
    let all: Vec<&str> = std::iter::once(base).chain(modules).collect();
    all.join("::")
}

/// Every source but what is compiled for tests only.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("contract") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn events(code: &str, target: &str) -> Vec<Event> {
    let mut found = Vec::new();
    for level in LEVELS {
        let begin = format!("tracing::{level}!(");
        for (at, _) in code.match_indices(&begin) {
            let arguments = arguments(&code[at + begin.len()..]);
            let is_message = |argument: &&String| argument.starts_with('"');
            let Some(place) = arguments.iter().position(|one| is_message(&one)) else {
                continue;
            };
            let fields: Vec<&str> = arguments[..place].iter().map(|one| field(one)).collect();
            let message = arguments[place].trim_matches('"').replace("\\\"", "\"");
            let fields = fields.join(", ");
            found.push((level.to_owned(), target.to_owned(), message, fields));
        }
    }
    found
}

/// The name under which a value is logged: `job` of `job = %record.name` and of `%job`.
fn field(argument: &str) -> &str {
    let name = argument.split(" = ").next().unwrap_or(argument);
    name.trim_start_matches(['%', '?'])
}

/// What stands between commas, up to the parenthesis that closes.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut one) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for letter in text.chars() {
        if quoted {
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            one.push(letter);
            continue;
        }
        match letter {
            '"' => quoted = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(letter);
    }
    all.push(one.trim().to_owned());
    // What goes on in the next line of a literal goes on where its text does.
    let joined = |one: String| {
        let mut lines = one.split("\\\n");
        let first = lines.next().unwrap_or_default().to_owned();
        lines.fold(first, |text, line| text + line.trim_start())
    };
    all.into_iter()
        .map(joined)
        .filter(|one| !one.is_empty())
        .collect()
}
