//! Holds an export against the sample data it came from, without the server's help: its patients
//! are the current members of the group, and nobody else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

/// Says how many members there are. `time` is T of the export.
pub(crate) fn members_and_nobody_else(
    data: &Path,
    export: &Path,
    group: &str,
    time: &str,
) -> anyhow::Result<usize> {
    let members = members(&data.join("Group.ndjson"), group, time)?;
    let exported = exported(export)?;
    if members != exported {
        bail!(
            "the group has {} current members, of whom {} were exported, and {} patients who are \
             none were exported too",
            members.len(),
            members.intersection(&exported).count(),
            exported.difference(&members).count()
        );
    }
    Ok(members.len())
}

/// `Patient/id` of each member that is not inactive and whose period holds the time. Dates of the
/// sample data are days.
fn members(groups: &Path, group: &str, time: &str) -> anyhow::Result<BTreeSet<String>> {
    let found = lines(groups)?.into_iter().find(|line| line["id"] == group);
    let found = found.with_context(|| format!("there is no group {group}"))?;
    let today = time.get(..10).unwrap_or(time);
    let is_current = |member: &&Value| {
        let day = |bound: &str| member["period"][bound].as_str();
        member["inactive"] != true
            && day("start").is_none_or(|start| start <= today)
            && day("end").is_none_or(|end| end >= today)
    };
    let members = found["member"].as_array().into_iter().flatten();
    let named = members
        .filter(is_current)
        .filter_map(|member| member["entity"]["reference"].as_str());
    Ok(named.map(str::to_owned).collect())
}

fn exported(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut patients = BTreeSet::new();
    let listing = || format!("listing {}", folder.display());
    for entry in fs::read_dir(folder).with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("Patient.") {
            continue;
        }
        for patient in lines(&path)? {
            let id = patient["id"].as_str().context("a patient has no id")?;
            if !patients.insert(format!("Patient/{id}")) {
                bail!("a patient was exported twice");
            }
        }
    }
    Ok(patients)
}

fn lines(path: &Path) -> anyhow::Result<Vec<Value>> {
    let failed = || format!("reading {}", path.display());
    let file = File::open(path).with_context(failed)?;
    let lines = BufReader::new(file).lines();
    lines
        .map(|line| Ok(serde_json::from_str(&line.with_context(failed)?)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One current member by dates, one inactive, one no longer, one not yet.
    const GROUP: &str = r#"{"id":"g","member":[
        {"entity":{"reference":"Patient/a"},"period":{"start":"2026-01-01","end":"2026-03-01"}},
        {"entity":{"reference":"Patient/b"},"inactive":true},
        {"entity":{"reference":"Patient/c"},"period":{"end":"2026-02-28"}},
        {"entity":{"reference":"Patient/d"},"period":{"start":"2026-03-02"}}]}"#;

    fn check(patients: &[&str]) -> anyhow::Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        let group = GROUP.replace('\n', " ");
        fs::write(folder.path().join("Group.ndjson"), group).unwrap();
        let patients = patients.iter().map(|id| format!("{{\"id\":\"{id}\"}}"));
        let patients = patients.collect::<Vec<_>>().join("\n");
        fs::write(folder.path().join("Patient.1.ndjson"), patients).unwrap();
        let time = "2026-03-01T00:00:00.000Z";
        members_and_nobody_else(folder.path(), folder.path(), "g", time)
    }

    #[test]
    fn only_the_current_members_will_do() {
        assert_eq!(check(&["a"]).unwrap(), 1);
        for wrong in [&["a", "b"][..], &["c"], &["a", "a"], &[]] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }
}
