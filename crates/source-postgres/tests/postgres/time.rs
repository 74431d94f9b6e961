//! What an export sees of a database that others write to.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use sluice_fhir::{Instant, Level};
use sluice_model::Scope;
use sluice_ports::conformance::{self, Deletions};
use sluice_ports::{Block, Source};
use sluice_source_postgres::Batch;
use sluice_testkit::exported;

use crate::database::{Database, now, patient, since};

/// T-025, T-026: `_since` is exclusive, to the millisecond that transactionTime has.
#[tokio::test]
async fn since_and_until_are_exact_at_their_bounds() {
    let database = Database::backdated().await;
    for (id, at) in [
        ("before", "2026-01-01T11:59:59.999Z"),
        ("at", "2026-01-01T12:00:00.000Z"),
        ("within", "2026-01-01T12:00:00.0004Z"),
        ("after", "2026-01-01T12:00:00.001Z"),
    ] {
        database.write(&[&patient(id, Some(at))]).await;
    }
    let bound: Instant = "2026-01-01T12:00:00.000Z".parse().unwrap();
    let mut scope = database.scope(Level::Patient).await;
    scope.since = Some(bound);
    assert_eq!(
        database.ids(&scope).await,
        ["Patient/after", "Patient/within"]
    );
    scope.since = None;
    scope.until = Some(bound);
    assert_eq!(database.ids(&scope).await, ["Patient/before"]);
}

/// T9, C22: a writer that is open while T is fixed commits later. What it wrote is in that export or in
/// the next, and not in neither.
#[tokio::test]
async fn t9_what_commits_late_is_in_the_next_export() {
    let database = Database::new().await;
    database.write(&[&patient("early", None)]).await;
    let batch = Batch::of_lines(&[&patient("late", None)]).unwrap();
    let open = database.writer.begin(batch).await.unwrap();
    // The others go on, and are not waited for.
    database.write(&[&patient("other", None)]).await;
    let first = database.scope(Level::System).await;
    let seen = database.ids(&first).await;
    assert!(!seen.contains(&"Patient/late".to_owned()));
    open.commit().await.unwrap();
    assert_eq!(
        database.ids(&first).await,
        seen,
        "the first export stays as it was"
    );
    let (next, _) = since(&database, first.snapshot.time).await;
    assert!(next.contains(&"Patient/late".to_owned()), "{next:?}");
    let both: HashSet<&String> = seen.iter().chain(&next).collect();
    assert_eq!(both.len(), seen.len() + next.len(), "none twice");
    assert_eq!(both.len(), 3);
}

/// C21: an export is of its T, whenever its slices are read, and the same bytes each time.
#[tokio::test]
async fn later_writes_do_not_change_what_an_export_gives() {
    let database = Database::new().await;
    for id in ["kept", "changed", "deleted"] {
        database.write(&[&patient(id, None)]).await;
    }
    let scope = database.scope(Level::Patient).await;
    let plan = database
        .source
        .plan(&scope, 1 << 20, 64, None)
        .await
        .unwrap();
    let read = async || {
        let mut all: Vec<Block> = Vec::new();
        for chunk in &plan.chunks {
            let blocks = database.source.read(&scope, &chunk.slice).await.unwrap();
            all.extend(blocks.try_collect::<Vec<_>>().await.unwrap());
        }
        all
    };
    let before = read().await;
    assert_eq!(before.iter().map(|block| block.lines).sum::<u64>(), 3);
    let changed = patient("changed", Some("2026-01-01T00:00:00Z"));
    database.write(&[&changed, &patient("new", None)]).await;
    database.delete(&["Patient/deleted"]).await;
    assert_eq!(read().await, before);
    // A Patient's end takes their compartment with it, but not from an export that began before.
    let replanned = database
        .source
        .plan(&scope, 1 << 20, 64, None)
        .await
        .unwrap();
    assert_eq!(replanned.chunks.len(), plan.chunks.len());
}

/// What a chain of exports knows: what is there, by its content.
#[derive(Default)]
struct Copy {
    known: BTreeMap<String, String>,
}

impl Copy {
    /// `Type/id` of what a scope's output holds.
    async fn of(database: &Database, scope: &Scope) -> Vec<String> {
        let mut copy = Self::default();
        copy.read(database, scope).await;
        copy.known.into_keys().collect()
    }

    /// Takes an incremental export; nothing may come that is known already.
    async fn take(&mut self, database: &Database, from: Option<Instant>) -> Instant {
        let mut scope = database.scope(Level::System).await;
        scope.since = from;
        self.read(database, &scope).await;
        scope.snapshot.time
    }

    async fn read(&mut self, database: &Database, scope: &Scope) {
        let mut cursor = None;
        loop {
            let step = database.source.plan(scope, 20_000, 8, cursor.as_deref());
            let step = step.await.unwrap();
            for chunk in step.chunks {
                let blocks = database.source.read(scope, &chunk.slice).await.unwrap();
                let blocks: Vec<Block> = blocks.try_collect().await.unwrap();
                for block in blocks {
                    let text = String::from_utf8(block.bytes.to_vec()).unwrap();
                    for line in text.lines() {
                        self.line(line, chunk.slice.deleted);
                    }
                }
            }
            cursor = step.next;
            if cursor.is_none() {
                return;
            }
        }
    }

    fn line(&mut self, line: &str, is_deletion: bool) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        if is_deletion {
            for entry in json["entry"].as_array().unwrap() {
                let name = entry["request"]["url"].as_str().unwrap();
                self.known.remove(name);
            }
            return;
        }
        let name = format!(
            "{}/{}",
            json["resourceType"].as_str().unwrap(),
            json["id"].as_str().unwrap()
        );
        let before = self.known.insert(name, line.to_owned());
        assert_ne!(before.as_deref(), Some(line), "the same version came twice");
    }
}

/// The chaining test: eight writers create, change and delete for two minutes, while exports follow each
/// other, each since the transactionTime of the one before. Nothing is lost and nothing comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_exports_loses_nothing_and_repeats_nothing() {
    let database = Arc::new(Database::new().await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..8_u64 {
        let (database, stop) = (Arc::clone(&database), Arc::clone(&stop));
        writers.push(tokio::spawn(async move {
            let mut round = 0_u64;
            let mut own: BTreeMap<String, String> = BTreeMap::new();
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let mut batch = Vec::new();
                for n in 0..5 {
                    let id = format!("w{writer}-{}", (round * 7 + n * 11) % 40);
                    let line = format!(
                        r#"{{"resourceType":"Patient","id":"{id}","multipleBirthInteger":{round}}}"#
                    );
                    own.insert(format!("Patient/{id}"), line.clone());
                    batch.push(line);
                }
                let lines: Vec<&str> = batch.iter().map(String::as_str).collect();
                let mut batch = Batch::of_lines(&lines).unwrap();
                if round.is_multiple_of(3) {
                    let id = format!("w{writer}-{}", round % 40);
                    own.remove(&format!("Patient/{id}"));
                    batch = batch.deleting("Patient".parse().unwrap(), &id);
                }
                let open = database.writer.begin(batch).await.unwrap();
                // Some stay open for a while, so that exports begin meanwhile.
                tokio::time::sleep(Duration::from_millis(round * 13 % 60)).await;
                open.commit().await.unwrap();
            }
            own
        }));
    }
    let mut copy = Copy::default();
    let mut last = None;
    let mut exports = 0;
    let end = std::time::Instant::now() + Duration::from_mins(2);
    while std::time::Instant::now() < end {
        last = Some(copy.take(&database, last).await);
        exports += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let mut expected = BTreeMap::new();
    for writer in writers {
        expected.extend(writer.await.unwrap());
    }
    // The clock of the last commit may be the present millisecond, which T does not hold yet.
    let settled = now(&database).await;
    while now(&database).await <= settled {}
    copy.take(&database, last).await;
    assert!(exports > 10, "{exports} exports");
    assert_eq!(copy.known, expected);
    println!("{exports} exports, {} resources in the end", expected.len());
}

/// R-156, R-158, T-032: what was deleted is told within the scope, and is not in the output too.
#[tokio::test]
async fn deletions_are_told_by_the_same_scope() {
    let database = Database::new().await;
    let observation = |id: &str, of: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{id}","subject":{{"reference":"Patient/{of}"}}}}"#
        )
    };
    let group =
        r#"{"resourceType":"Group","id":"g","member":[{"entity":{"reference":"Patient/a"}}]}"#;
    database
        .write(&[
            &patient("a", None),
            &patient("b", None),
            &observation("a1", "a"),
            &observation("a2", "a"),
            &observation("a3", "a"),
            &observation("b1", "b"),
            group,
        ])
        .await;
    let before = now(&database).await;
    // The next millisecond: what follows must be later than T.
    while now(&database).await <= before {}
    database
        .delete(&[
            "Observation/a1",
            "Observation/b1",
            "Observation/a2",
            "Patient/b",
            "Observation/never",
        ])
        .await;
    // Again there, so it was not deleted in the end.
    database.write(&[&observation("a2", "a")]).await;
    let changed = observation("a3", "a").replace("\"id\"", "\"status\":\"final\",\"id\"");
    database.write(&[&changed]).await;
    let settled = now(&database).await;
    while now(&database).await <= settled {}
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let everybodys = ["Observation/a1", "Observation/b1", "Patient/b"];
    let expected = Deletions {
        since: before,
        types: exported::types(&["Observation", "Patient"]),
        system: names(&everybodys),
        patients: names(&everybodys),
        group: ("g".to_owned(), names(&["Observation/a1"])),
    };
    conformance::deletions(&database.source, &expected)
        .await
        .unwrap();
    let mut scope = database.scope(Level::Patient).await;
    scope.since = Some(before);
    scope.types = exported::types(&["Observation", "Patient"]);
    assert_eq!(
        Copy::of(&database, &scope).await,
        ["Observation/a2", "Observation/a3"]
    );
}
