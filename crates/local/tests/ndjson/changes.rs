//! The folder over time: found again, changed, and what a crash leaves.

use std::fs;
use std::io::Write;

use futures::StreamExt;
use sluice_fhir::Level;
use sluice_local::ndjson::NdjsonOptions;
use sluice_ports::{PortKind, Source};

use crate::folder::{Folder, blocks, export, ids, plan, reopen, resource, scope};

#[tokio::test]
async fn an_unchanged_folder_is_not_read_again_and_jobs_go_on() {
    let folder = Folder::of(&[
        &resource("Patient/a", &[]),
        &resource(
            "Observation/o",
            &[("subject", "Patient/a"), ("x", "Location/l")],
        ),
        &resource("Location/l", &[]),
    ]);
    let (source, progress) = reopen(folder.options());
    assert!(!progress.reused);
    assert_eq!((progress.files, progress.resources), (1, 3));
    assert_eq!(progress.bytes_done, progress.file_bytes_total);
    let pinned = scope(&source, Level::Patient).await;
    let before = export(&source, &pinned, 100).await;
    fs::create_dir(folder.path().join(".sluice/building")).unwrap();

    let (again, progress) = reopen(folder.options());
    assert!(progress.reused);
    assert_eq!(again.catalog(), source.catalog());
    assert_eq!(again.snapshot().await.unwrap(), pinned.snapshot);
    let scopes = folder.path().join(".sluice");
    let scopes = scopes.join(format!("gen-{}/scopes", pinned.snapshot.token));
    fs::remove_dir_all(scopes).unwrap();
    assert_eq!(export(&again, &pinned, 100).await, before);
    assert!(!folder.path().join(".sluice/building").exists());
}

#[tokio::test]
async fn a_change_ends_old_jobs_and_shows_in_new_ones() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let source = folder.source();
    let old = scope(&source, Level::System).await;
    let chunks = plan(&source, &old, 100, 10).await;
    folder.write("data.ndjson", resource("Patient/other", &[]));
    let error = blocks(&source, &old, &chunks[0].slice).await.unwrap_err();
    assert_eq!(error.kind, PortKind::Permanent);
    assert!(
        error.chain().contains("start the export again"),
        "{}",
        error.chain()
    );

    folder.write("sub/more.jsonl", resource("Patient/b", &[]));
    folder.write(".hidden/no.ndjson", "x");
    let new = scope(&source, Level::System).await;
    assert_ne!(new.snapshot.token, old.snapshot.token);
    assert_eq!(ids(&source, &new).await, ["Patient/b", "Patient/other"]);
    let error = blocks(&source, &old, &chunks[0].slice).await.unwrap_err();
    assert_eq!(error.kind, PortKind::Permanent);
}

/// A file that is added does not disturb the exports that run.
#[tokio::test]
async fn an_export_goes_on_with_the_state_it_began_with() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let source = folder.source();
    let old = scope(&source, Level::System).await;
    folder.write("more.ndjson", resource("Patient/b", &[]));
    let new = scope(&source, Level::System).await;
    assert_eq!(ids(&source, &new).await, ["Patient/a", "Patient/b"]);
    assert_eq!(ids(&source, &old).await, ["Patient/a"]);
    let (again, _) = reopen(folder.options());
    assert_eq!(ids(&again, &old).await, ["Patient/a"]);
}

#[tokio::test]
async fn two_ways_to_read_a_folder_leave_each_other_alone() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let (strict, lenient) = (folder.source(), reopen(folder.lenient()).0);
    let (one, two) = (
        scope(&strict, Level::System).await,
        scope(&lenient, Level::System).await,
    );
    assert!(reopen(folder.options()).1.reused);
    assert!(reopen(folder.lenient()).1.reused);
    assert_eq!(ids(&strict, &one).await, ["Patient/a"]);
    assert_eq!(ids(&lenient, &two).await, ["Patient/a"]);
}

#[tokio::test]
async fn few_states_are_kept() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let source = folder.source();
    for n in 0..8 {
        folder.write("more.ndjson", resource(&format!("Patient/n{n}"), &[]));
        scope(&source, Level::System).await;
    }
    let states = fs::read_dir(folder.path().join(".sluice")).unwrap();
    let names = states.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("gen-")).count(), 4);
}

/// It holds ids of patients.
#[tokio::test]
async fn the_index_is_for_its_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    fs::create_dir(folder.path().join(".sluice")).unwrap();
    let _source = folder.source();
    let index = fs::metadata(folder.path().join(".sluice")).unwrap();
    assert_eq!(index.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_change_to_something_broken_fails_until_mended() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let source = folder.source();
    let old = scope(&source, Level::System).await;
    folder.write("more.ndjson", "{");
    for _ in 0..2 {
        let error = source.snapshot().await.unwrap_err();
        assert_eq!(error.kind, PortKind::Transient, "it may be half copied");
    }
    assert!(
        source.group("g").await.unwrap().is_none(),
        "Groups are there"
    );
    assert_eq!(ids(&source, &old).await, ["Patient/a"]);
    fs::remove_file(folder.path().join("more.ndjson")).unwrap();
    folder.write("data.ndjson", resource("Patient/b", &[]));
    let all = scope(&source, Level::System).await;
    assert_eq!(ids(&source, &all).await, ["Patient/b"]);
}

#[tokio::test]
async fn the_index_can_lie_elsewhere_even_among_the_files() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let index = folder.path().join("index");
    let options = NdjsonOptions {
        index_dir: Some(index.clone()),
        ..folder.options()
    };
    let (source, _) = reopen(options.clone());
    fs::write(index.join("not-data.ndjson"), "x").unwrap();
    let all = scope(&source, Level::System).await;
    assert_eq!(ids(&source, &all).await, ["Patient/a"]);
    assert!(reopen(options).1.reused);
    assert!(!folder.path().join(".sluice").exists());
}

#[tokio::test]
async fn many_ask_at_once_while_the_folder_changes() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let source = folder.source();
    folder.write("data.ndjson", resource("Patient/other", &[]));
    let asks = (0..8).map(|_| source.snapshot());
    let snapshots = futures::future::join_all(asks).await;
    let first = snapshots[0].as_ref().unwrap();
    assert!(
        snapshots
            .iter()
            .all(|snapshot| snapshot.as_ref().unwrap() == first)
    );
}

#[tokio::test]
async fn a_file_that_changes_under_a_reader_ends_the_read() {
    let folder = Folder::new();
    let mut text = String::new();
    for n in 0..100_000 {
        text += &(resource(&format!("Patient/p{n}"), &[("x", "Location/some")]) + "\n");
    }
    folder.write("data.ndjson", &text);
    let source = folder.source();
    let all = scope(&source, Level::System).await;
    let chunks = plan(&source, &all, 1 << 30, 10).await;
    let mut stream = source.read(&all, &chunks[0].slice).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let path = folder.path().join("data.ndjson");
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(b"\n").unwrap();
    let rest: Vec<_> = stream.collect().await;
    let end = rest.last().unwrap().as_ref().unwrap_err();
    assert_eq!(end.kind, PortKind::Permanent);
}

#[tokio::test]
async fn a_damaged_or_lost_index_is_made_again() {
    let folder = Folder::of(&[&resource("Patient/a", &[])]);
    let source = folder.source();
    let all = scope(&source, Level::System).await;
    let index = folder.path().join(".sluice");
    let index = index.join(format!("gen-{}/index.sqlite", all.snapshot.token));
    fs::write(&index, "not a database, not at all").unwrap();
    assert!(!reopen(folder.options()).1.reused);
    assert!(reopen(folder.options()).1.reused);
    fs::remove_dir_all(folder.path().join(".sluice")).unwrap();
    assert_eq!(ids(&source, &all).await, ["Patient/a"]);
}
