//! Holds documents to the sources: the files and tests that they name are there.

use std::fs;

use crate::run::root;

/// Folders whose files are named by path.
const FOLDERS: [&str; 6] = [
    "crates/",
    "services/",
    "xtask/",
    "deploy/",
    "docs/",
    "helm/",
];

#[test]
fn files_and_tests_that_documents_name_are_there() {
    let mut gone = Vec::new();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let document = path.file_name().unwrap().to_string_lossy().into_owned();
        let missing = named(&text).filter(|name| !is_there(name));
        gone.extend(missing.map(|name| format!("{document}: {name}")));
    }
    assert!(gone.is_empty(), "there is no\n  {}", gone.join("\n  "));
}

/// What stands in backquotes and begins like a path of ours, without words after it.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let first = quoted.filter_map(|words| words.split_whitespace().next());
    first.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

fn is_there(name: &str) -> bool {
    // Of several files at once, and of what a command makes.
    if name.contains(['*', '{', '<']) {
        return true;
    }
    let Some((path, test)) = name.split_once("::") else {
        return root().join(name).exists();
    };
    let source = fs::read_to_string(root().join(path)).unwrap_or_default();
    source.contains(&format!("fn {test}("))
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let text =
        "see `xtask/src/documents.rs::is_there` and `xtask/src/documents.rs::was_there`, `ls docs`";
    let gone: Vec<&str> = named(text).filter(|name| !is_there(name)).collect();
    assert_eq!(gone, ["xtask/src/documents.rs::was_there"]);
}
