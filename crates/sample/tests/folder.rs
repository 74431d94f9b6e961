//! How a data set comes to lie in a folder.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod lines;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lines::lines_of;
use sluice_sample::{SampleError, SampleOptions, write_folder};

const OPTIONS: SampleOptions = SampleOptions {
    patients: 4,
    seed: 21,
};

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_holds_a_whole_file_for_each_type() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("new/data");
    let mut heard = Vec::new();
    let summary = write_folder(&OPTIONS, &out, &mut |so_far| heard.push(so_far)).unwrap();

    let (lines, wanted) = lines_of(OPTIONS.patients, OPTIONS.seed);
    assert_eq!(summary, wanted);
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (kind, line) in lines {
        let file = files.entry(format!("{kind}.ndjson")).or_default();
        file.extend(line);
        file.push(b'\n');
    }
    assert_eq!(names_in(&out), files.keys().cloned().collect::<Vec<_>>());
    for (name, bytes) in &files {
        assert!(fs::read(out.join(name)).unwrap() == *bytes, "{name}");
    }
    assert_eq!(
        summary.bytes,
        files.values().map(|bytes| bytes.len() as u64).sum::<u64>()
    );

    assert_eq!(
        heard.iter().map(|it| it.patients).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert!(heard.is_sorted_by_key(|it| it.bytes));
    assert!(heard.iter().all(|it| it.bytes < summary.bytes));
}

#[test]
fn a_folder_with_other_data_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("Patient.ndjson"), "{}\n").unwrap();
    fs::write(home.path().join("notes.txt"), "mine").unwrap();
    let error = write_folder(&OPTIONS, home.path(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, SampleError::FolderInUse { .. }));
    assert!(error.to_string().contains("Patient.ndjson"), "{error}");
    assert_eq!(names_in(home.path()), ["Patient.ndjson", "notes.txt"]);
}

#[test]
fn what_fails_half_way_leaves_nothing_that_looks_whole() {
    let home = tempfile::tempdir().unwrap();
    // A folder where a file should come: writing fails after some types were begun.
    fs::create_dir(home.path().join("Goal.ndjson.partial")).unwrap();
    let error = write_folder(&OPTIONS, home.path(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, SampleError::Io { .. }));
    assert_eq!(names_in(home.path()), ["Goal.ndjson.partial"]);
}

#[test]
fn what_an_interrupted_run_left_is_written_over() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("Patient.ndjson.partial"), "{\"half\":").unwrap();
    write_folder(&OPTIONS, home.path(), &mut |_| ()).unwrap();
    let patients = fs::read_to_string(home.path().join("Patient.ndjson")).unwrap();
    assert_eq!(patients.lines().count(), 4);
    assert!(!names_in(home.path()).contains(&"Patient.ndjson.partial".to_owned()));
}

#[test]
fn no_patients_make_a_pool_and_empty_groups() {
    let (lines, summary) = lines_of(0, 5);
    assert!(!summary.per_type.contains_key("Patient"));
    assert_eq!(summary.per_type["Group"], 6);
    assert_eq!(lines.len() as u64, summary.resources);
}
