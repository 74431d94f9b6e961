//! The chart's copies of dashboards and rules: a chart reads only files within itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::folder;
use crate::run::{root, say};

/// Folders in `deploy/observe` and in the chart's `files`, and what files in them end in.
const KINDS: [(&str, &str); 2] = [("rules", "yaml"), ("dashboards", "json")];

fn source() -> PathBuf {
    root().join("deploy/observe")
}

fn copies() -> PathBuf {
    folder().join("files")
}

/// Makes the copies anew.
pub(crate) fn copy() -> anyhow::Result<()> {
    for (kind, _) in KINDS {
        let old = copies().join(kind);
        if old.exists() {
            std::fs::remove_dir_all(old)?;
        }
    }
    let files = read(&source())?;
    for (name, bytes) in &files {
        let path = copies().join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, bytes)?;
    }
    say(&format!("chart: {} files copied", files.len()));
    Ok(())
}

/// Fails while they differ.
pub(crate) fn check() -> anyhow::Result<()> {
    let differ = differences(&read(&source())?, &read(&copies())?);
    if differ.is_empty() {
        return Ok(());
    }
    bail!(
        "helm/sluice/files differs from deploy/observe in {}; `cargo xtask chart copy` puts it right",
        differ.join(", ")
    )
}

type Files = BTreeMap<String, Vec<u8>>;

/// Files of both kinds by their paths; none where there is no folder.
fn read(place: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for (kind, end) in KINDS {
        let folder = place.join(kind);
        if !folder.exists() {
            continue;
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.extension().is_some_and(|is| is == end) {
                files.insert(format!("{kind}/{name}"), std::fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

fn differences(one: &Files, other: &Files) -> Vec<String> {
    let names = one
        .keys()
        .chain(other.keys().filter(|name| !one.contains_key(*name)));
    let differ = names.filter(|name| one.get(*name) != other.get(*name));
    differ.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_changed_or_too_much_is_told() {
        let files = |names: &[(&str, &str)]| -> Files {
            let pairs = names
                .iter()
                .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
            pairs.collect()
        };
        let source = files(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let copies = files(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(differences(&source, &copies), ["b", "c", "d"]);
        assert_eq!(differences(&source, &source), [""; 0]);
    }
}
