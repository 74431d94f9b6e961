//! Made-up patients, from outside.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use sluice_fhir::{Level, ResourceType};
use sluice_local::synthetic::{SyntheticOptions, SyntheticSource};
use sluice_model::{PlannedChunk, Scope, Tally};
use sluice_ports::conformance::{self, Population, Promise};
use sluice_ports::{Block, PopulationError, PortKind, Source};
use sluice_testkit::ManualClock;

const MIB: u64 = 1 << 20;

fn source(query: &str) -> SyntheticSource {
    let options = SyntheticOptions::from_uri_path(query).unwrap();
    SyntheticSource::new(options, Arc::new(ManualClock::default()))
}

async fn scope(source: &SyntheticSource, level: Level, types: &[&str]) -> Scope {
    Scope {
        selection: sluice_model::Selection::default(),
        level,
        types: types.iter().map(|name| name.parse().unwrap()).collect(),
        since: None,
        until: None,
        patients: None,
        snapshot: source.snapshot().await.unwrap(),
    }
}

async fn plan(source: &SyntheticSource, scope: &Scope, target: u64) -> Vec<PlannedChunk> {
    let (mut chunks, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let step = source.plan(scope, target, 64, cursor.as_deref()).await;
        let step = step.unwrap();
        chunks.extend(step.chunks);
        cursor = step.next;
        if cursor.is_none() {
            return chunks;
        }
    }
}

async fn blocks(source: &SyntheticSource, scope: &Scope) -> Vec<Block> {
    let mut blocks = Vec::new();
    for chunk in plan(source, scope, 64 * MIB).await {
        let read = source.read(scope, &chunk.slice).await.unwrap();
        blocks.extend(read.try_collect::<Vec<_>>().await.unwrap());
    }
    blocks
}

/// Ids with their types, in order.
async fn ids(source: &SyntheticSource, scope: &Scope) -> Vec<String> {
    let mut ids = Vec::new();
    for block in blocks(source, scope).await {
        for line in block.bytes.split_inclusive(|byte| *byte == b'\n') {
            let json: serde_json::Value = serde_json::from_slice(line).unwrap();
            let id = json["id"].as_str().unwrap();
            assert_eq!(json["resourceType"], block.kind.name());
            ids.push(format!("{}/{id}", block.kind));
        }
    }
    ids
}

/// Lines by type of some level, as one read gives them; the property test knows them to be right.
async fn lines(source: &SyntheticSource, level: Level) -> BTreeMap<ResourceType, Vec<String>> {
    let scope = scope(source, level, &["Group", "Observation", "Patient"]).await;
    let mut lines: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for block in blocks(source, &scope).await {
        let text = String::from_utf8(block.bytes.to_vec()).unwrap();
        let of_type = lines.entry(block.kind).or_default();
        of_type.extend(text.lines().map(str::to_owned));
        of_type.sort_unstable();
    }
    lines
}

#[tokio::test]
async fn it_conforms() {
    let source = source("?patients=25&observations=3&bytes=390");
    let group = "first-10".to_owned();
    let population = Population {
        promise: Promise::Exact,
        system: lines(&source, Level::System).await,
        patients: lines(&source, Level::Patient).await,
        group: (group.clone(), lines(&source, Level::Group(group)).await),
    };
    let count = |lines: &BTreeMap<_, Vec<String>>| lines.values().map(Vec::len).sum::<usize>();
    assert_eq!(count(&population.system), 25 * 4 + 1);
    assert_eq!(count(&population.patients), 25 * 4);
    assert_eq!(count(&population.group.1), 10 * 4);
    conformance::source(&source, &population).await.unwrap();
}

#[tokio::test]
async fn a_group_takes_its_members_and_a_list_those_it_names() {
    let source = source("?patients=20&observations=1");
    let group = Level::Group("first-2".to_owned());
    let mut scope = scope(&source, group, &["Group", "Observation", "Patient"]).await;
    let expected = [
        "Observation/p00000001-0001",
        "Observation/p00000002-0001",
        "Patient/p00000001",
        "Patient/p00000002",
    ];
    assert_eq!(ids(&source, &scope).await, expected, "and no Group");
    scope.patients = Some(vec!["p00000002".to_owned()]);
    assert_eq!(ids(&source, &scope).await, [expected[1], expected[3]]);
    scope.level = Level::System;
    assert_eq!(ids(&source, &scope).await, [expected[1], expected[3]]);
}

#[tokio::test]
async fn strangers_are_named() {
    let source = source("?patients=20");
    let mut scope = scope(&source, Level::Patient, &["Patient"]).await;
    let list = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
    scope.patients = Some(list(&["p00000000", "p00000003", "p00000020", "p21"]));
    let Err(PopulationError::UnknownPatients(unknown)) = source.check(&scope).await else {
        unreachable!("two are unknown");
    };
    assert_eq!(unknown, ["p00000000", "p21"]);
    scope.level = Level::Group("first-3".to_owned());
    scope.patients = Some(list(&["p00000003", "p00000004"]));
    let Err(PopulationError::UnknownPatients(unknown)) = source.check(&scope).await else {
        unreachable!("one is no member");
    };
    assert_eq!(unknown, ["p00000004"]);
    scope.level = Level::Group("first-21".to_owned());
    let refused = source.check(&scope).await;
    assert!(matches!(refused, Err(PopulationError::UnknownGroup)));
}

#[tokio::test]
async fn since_and_until_are_exclusive() {
    let source = source("?patients=2&observations=0");
    let mut scope = scope(&source, Level::Patient, &["Patient"]).await;
    let slice = plan(&source, &scope, MIB).await.remove(0).slice;
    let changed = "2020-01-01T00:00:00Z";
    for (since, until, expected) in [
        (None, None, 2),
        (Some("2019-12-31T23:59:59.999Z"), None, 2),
        (Some(changed), None, 0),
        (None, Some("2020-01-01T00:00:00.001Z"), 2),
        (None, Some(changed), 0),
    ] {
        scope.since = since.map(|text| text.parse().unwrap());
        scope.until = until.map(|text| text.parse().unwrap());
        assert_eq!(ids(&source, &scope).await.len(), expected);
        let read = source.read(&scope, &slice).await.unwrap();
        assert_eq!(read.count().await, expected.min(1));
    }
}

#[tokio::test]
async fn other_options_end_an_export_and_other_waits_do_not() {
    let before = source("?patients=20");
    let scope = scope(&before, Level::Patient, &["Patient"]).await;
    let slice = plan(&before, &scope, MIB).await.remove(0).slice;
    let slower = source("?patients=20&read_ms=1&block_ms=1");
    assert!(slower.read(&scope, &slice).await.is_ok());
    for query in ["?patients=21", "?patients=20&bytes=500"] {
        let after = source(query);
        let refused = [
            after.read(&scope, &slice).await.err(),
            after.plan(&scope, MIB, 1, None).await.err(),
            after.remarks(&scope).await.err(),
        ];
        for error in refused {
            let error = error.unwrap();
            assert_eq!(error.kind, PortKind::Permanent);
            assert!(error.action.contains("options changed"), "{error}");
        }
        assert!(after.check(&scope).await.is_err());
    }
}

#[tokio::test]
async fn what_it_did_not_make_is_refused() {
    let source = source("?patients=20");
    let scope = scope(&source, Level::Patient, &["Patient"]).await;
    for cursor in ["", "Patient", "Patient/20", "Observation/0", "Patient/x"] {
        let refused = source.plan(&scope, MIB, 1, Some(cursor)).await;
        assert_eq!(refused.unwrap_err().kind, PortKind::Permanent, "{cursor}");
    }
    let slice = plan(&source, &scope, MIB).await.remove(0).slice;
    for range in ["", "0", "1-1", "5-4", "0-21", "a-b"] {
        let mut slice = slice.clone();
        range.clone_into(&mut slice.range);
        let refused = source.read(&scope, &slice).await;
        assert!(refused.is_err(), "{range}");
    }
}

#[tokio::test]
async fn ten_million_patients_are_planned_to_the_byte() {
    let source = source("?patients=10000000");
    let scope = scope(&source, Level::Patient, &["Observation", "Patient"]).await;
    let chunks = plan(&source, &scope, 128 * MIB).await;
    assert_eq!(chunks.len(), 120 + 30);
    let mut total = Tally::default();
    for chunk in &chunks {
        assert!(chunk.expected.bytes <= 128 * MIB);
        total += chunk.expected;
    }
    assert_eq!((total.resources, total.bytes), (50_000_000, 20_000_000_000));
    let mut last = source.read(&scope, &chunks[149].slice).await.unwrap();
    let block = last.next().await.unwrap().unwrap();
    assert!(u64::try_from(block.bytes.len()).unwrap() > MIB - 400);
}

#[tokio::test]
async fn a_group_of_a_million_comes_in_pieces_and_spans_blocks() {
    let source = source("?patients=1000000");
    let stream = source.group("first-1000000").await.unwrap().unwrap();
    let pieces: Vec<_> = stream.try_collect().await.unwrap();
    let is_small = |length: usize| u64::try_from(length).unwrap() <= MIB;
    assert!(pieces.iter().all(|piece| is_small(piece.len())));
    let whole = pieces.concat();
    assert!(whole.ends_with(br#"{"entity":{"reference":"Patient/p01000000"}}]}"#));
    let scope = scope(&source, Level::System, &["Group"]).await;
    let blocks = blocks(&source, &scope).await;
    assert!(blocks.iter().all(|block| is_small(block.bytes.len())));
    assert_eq!(blocks.iter().map(|block| block.lines).sum::<u64>(), 6);
    let bytes: Vec<u8> = blocks
        .iter()
        .flat_map(|block| block.bytes.clone())
        .collect();
    assert!(bytes.strip_suffix(b"\n").unwrap().ends_with(&whole));
}

#[tokio::test(start_paused = true)]
async fn waits_are_as_told() {
    let source = source("?patients=6&observations=0&bytes=1000000&read_ms=500&block_ms=20");
    let scope = scope(&source, Level::Patient, &["Patient"]).await;
    let chunks = plan(&source, &scope, 3 * MIB).await;
    assert_eq!(chunks.len(), 2);
    let start = tokio::time::Instant::now();
    assert_eq!(blocks(&source, &scope).await.len(), 6);
    // One slice of six blocks: `blocks` plans with a target of its own.
    assert_eq!(start.elapsed().as_millis(), 500 + 6 * 20);
}
