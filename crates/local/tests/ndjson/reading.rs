//! Blocks: packing, giants, odd line ends, packed files.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use sluice_fhir::Level;
use sluice_ports::Source;

use crate::folder::{Folder, blocks, export, ids, lines, plan, resource, scope};

fn padded(name: &str, bytes: usize) -> String {
    let plain = resource(name, &[("x", "")]);
    let room = bytes - plain.len();
    plain.replace(
        r#""reference":"""#,
        &format!(r#""reference":"{}""#, "x".repeat(room)),
    )
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn files_are_known_by_their_content_whatever_their_names() {
    let folder = Folder::new();
    let lines = ["a", "b", "c", "d"].map(|id| resource(&format!("Patient/{id}"), &[]));
    folder.write("1.json", &lines[0]);
    folder.write("2", format!("\n{}\n", lines[1]));
    folder.write("3.dump", gzip(&lines[2]));
    folder.write("4.ndjson", &lines[3]);
    folder.write("README.md", "# About\n");
    folder.write("manifest.json", r#"{"output":[]}"#);
    folder.write("empty.txt", "");
    folder.write("image.gz", [0x1f, 0x8b, 1, 2, 3]);
    let late = format!(
        r#"{{"a":"{}",{}"#,
        "x".repeat(9000),
        &lines[0][1..].replace("/a", "/e")
    );
    let late = late.replace(r#""id":"a""#, r#""id":"e""#);
    folder.write("late.json", format!("\u{feff}{late}"));
    let elsewhere = Folder::new();
    elsewhere.write("5.ndjson", resource("Patient/f", &[]));
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("sub")).unwrap();
    std::os::unix::fs::symlink(folder.path(), elsewhere.path().join("round")).unwrap();
    let source = folder.source();
    let all = scope(&source, Level::System).await;
    let mut lines = lines.to_vec();
    lines.extend([late, resource("Patient/f", &[])]);
    lines.sort_unstable();
    assert_eq!(export(&source, &all, 1000).await, lines);
    let catalog = source.catalog();
    assert_eq!(catalog.files, 6);
    let ignored = ["README.md", "empty.txt", "image.gz", "manifest.json"];
    assert_eq!(catalog.ignored, ignored);
}

#[tokio::test]
async fn line_ends_marks_and_blanks_do_not_show() {
    let folder = Folder::new();
    let (a, b) = (resource("Patient/a", &[]), resource("Patient/b", &[]));
    folder.write("a.ndjson", format!("\u{feff}{a}\r\n\r\n  \n{b}"));
    let c = resource("Patient/c", &[]);
    folder.write("b.ndjson.gz", gzip(&format!("{c}\n")));
    folder.write("ignored.json", "x");
    let source = folder.source();
    let all = scope(&source, Level::System).await;
    assert_eq!(export(&source, &all, 1000).await, [a, b, c]);
    assert_eq!(source.catalog().files, 2);
}

#[tokio::test]
async fn a_giant_travels_in_pieces_of_its_own() {
    const MIB: usize = 1 << 20;
    for size in [8 * MIB + 77, 2 * MIB, 2 * MIB - 1, MIB, MIB - 1, MIB - 2] {
        let giant = padded("Patient/giant", size);
        assert_eq!(giant.len(), size);
        let (a, z) = (resource("Patient/a", &[]), resource("Patient/z", &[]));
        let folder = Folder::of(&[&a, &giant, &z]);
        let source = folder.source();
        let all = scope(&source, Level::System).await;
        let chunks = plan(&source, &all, 1 << 30, 10).await;
        assert_eq!(chunks.len(), 1);
        let blocks = blocks(&source, &all, &chunks[0].slice).await.unwrap();
        let lines = lines(&chunks[0].slice, &blocks);
        let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert!(lines == [&a, &giant, &z], "{size}");
        let pieces = &blocks[1..blocks.len() - 1];
        assert!(pieces.iter().rev().skip(1).all(|piece| piece.lines == 0));
    }
}

#[tokio::test]
async fn small_types_share_a_chunk_and_big_ones_are_cut() {
    let mut all: Vec<String> = (0..40)
        .map(|n| padded(&format!("Claim/c{n}"), 99))
        .collect();
    all.extend((0..2).map(|n| padded(&format!("Account/a{n}"), 99)));
    all.extend((0..3).map(|n| padded(&format!("Patient/p{n}"), 99)));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let folder = Folder::of(&all);
    let source = folder.source();
    let scope = scope(&source, Level::System).await;
    let chunks = plan(&source, &scope, 1000, 2).await;
    let shapes: Vec<(usize, u64)> = chunks
        .iter()
        .map(|chunk| (chunk.slice.types.len(), chunk.expected.resources))
        .collect();
    assert_eq!(shapes, [(1, 10), (1, 10), (1, 10), (1, 10), (2, 5)]);
}

#[tokio::test]
async fn an_empty_scope_has_an_empty_plan() {
    let folder = Folder::of(&[&resource("Location/l", &[])]);
    let source = folder.source();
    let patient = scope(&source, Level::Patient).await;
    let step = source.plan(&patient, 100, 1, None).await.unwrap();
    assert!(step.chunks.is_empty() && step.next.is_none());
    let system = scope(&source, Level::System).await;
    let step = source.plan(&system, 100, 1, None).await.unwrap();
    assert!(step.chunks.len() == 1 && step.next.is_none());
    assert!(source.plan(&system, 100, 1, Some("x")).await.is_err());
    assert_eq!(ids(&source, &system).await, ["Location/l"]);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let big: Vec<String> = (0..9)
        .map(|n| padded(&format!("Patient/p{n}"), 1 << 20))
        .collect();
    let big: Vec<&str> = big.iter().map(String::as_str).collect();
    let folder = Folder::of(&big);
    let source = folder.source();
    let all = scope(&source, Level::System).await;
    let chunks = plan(&source, &all, 1 << 30, 10).await;
    let mut stream = source.read(&all, &chunks[0].slice).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    let mut foreign = chunks[0].slice.clone();
    foreign.types = vec!["Claim".parse().unwrap(), "Patient".parse().unwrap()];
    assert!(blocks(&source, &all, &foreign).await.is_err());
}
