//! Data folders, and what lies in them and in exports.

use std::fs;
use std::path::Path;

use crate::server::sluice;

/// Makes sample patients.
pub(crate) fn sample(patients: u32, out: &Path) {
    let mut command = sluice();
    command.args(["sample", "--patients", &patients.to_string(), "--out"]);
    assert!(command.arg(out).output().unwrap().status.success());
}

/// Every line of every NDJSON file directly in a folder, sorted.
pub(crate) fn lines(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "ndjson") {
            let text = fs::read_to_string(path).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    lines
}

/// Fails with something short: the difference between two long lists is no help.
pub(crate) fn assert_same(found: &[String], expected: &[String]) {
    let doubled = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(
        (found.len(), doubled),
        (expected.len(), 0),
        "lines, and lines that are there twice"
    );
    assert!(found == expected, "the lines differ");
}
