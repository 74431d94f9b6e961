//! What was deleted since a time goes through everything to files of its own (R-156 to R-160).
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use sluice_e2e::{Conditions, Disk, Ended, World};
use sluice_fhir::{Instant, ResourceType};
use sluice_local::Habits;
use sluice_model::{JobRef, Manifest, layout};
use sluice_ports::Blobs;
use sluice_testkit::{Reading, SeededEntropy, SmallSource};

const SINCE: Instant = Instant::from_millis(0);

const BUNDLE: &str = concat!(
    r#"{"resourceType":"Bundle","type":"transaction","entry":["#,
    r#"{"request":{"method":"DELETE","url":"Observation/o1"}},"#,
    r#"{"request":{"method":"DELETE","url":"Patient/p1"}}]}"#,
);

fn source() -> SmallSource {
    SmallSource::of(4, 6).deleting(&["Observation/o1", "Patient/p1"])
}

async fn world(disk: &Disk, source: SmallSource, conditions: &Conditions) -> World {
    World::start(disk, Arc::new(source), conditions)
        .await
        .unwrap()
}

async fn manifest(world: &World, job: &JobRef) -> Arc<Manifest> {
    let Ended::Complete(manifest) = world.ended(job).await else {
        panic!("the export did not complete");
    };
    manifest
}

#[tokio::test(start_paused = true)]
async fn r_156_what_was_deleted_since_is_in_files_of_its_own_as_long_as_the_others() {
    let disk = Disk::default();
    let world = world(&disk, source(), &Conditions::default()).await;
    let job = world.kick_off_since(SINCE).await.unwrap();
    let manifest = manifest(&world, &job).await;
    let output = world.lines(&manifest.output).await.unwrap();
    assert_eq!(output, source().lines(), "R-158");
    let [file] = &manifest.deleted[..] else {
        panic!("{:?}", manifest.deleted);
    };
    assert_eq!(file.kind, ResourceType::BUNDLE, "R-160");
    assert!(file.key.ends_with("/Bundle.1.ndjson"), "{}", file.key);
    assert_eq!(world.lines(&manifest.deleted).await.unwrap(), [BUNDLE]);

    // A chunk has data or deletions, and the index counts resources only.
    let journal = world.journal();
    let mut deleting = 0;
    for chunk in journal.ended_chunks(&job, None).await.unwrap() {
        let receipt = journal.receipt(&job, chunk).await.unwrap().unwrap();
        assert_ne!(receipt.files.is_empty(), receipt.deleted.is_empty());
        deleting += receipt.deleted.len();
    }
    assert_eq!(deleting, 1);
    let status = world.ports().index.get(&job).await.unwrap().unwrap();
    let lines = u64::try_from(output.len()).unwrap();
    assert_eq!(status.tally.resources, lines);
    assert_eq!(status.planned.expected.bytes, status.tally.bytes);

    // Neither the sweep of what no manifest names takes it, nor does it outlive the others.
    tokio::time::sleep(Duration::from_mins(59)).await;
    assert_eq!(world.lines(&manifest.deleted).await.unwrap(), [BUNDLE]);
    tokio::time::sleep(Duration::from_hours(2)).await;
    let left = disk.0.list(&layout::job(&job), None, 10).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn t_032_without_since_nothing_is_said_of_deletions() {
    let world = world(&Disk::default(), source(), &Conditions::default()).await;
    let job = world.kick_off().await.unwrap();
    let manifest = manifest(&world, &job).await;
    assert!(manifest.deleted.is_empty());
    let output = world.lines(&manifest.output).await.unwrap();
    assert_eq!(output, source().lines());
}

/// Everything dies again and again, the index with it; the journal knows of deletions as of data.
#[tokio::test(start_paused = true)]
async fn dying_at_any_moment_loses_and_doubles_no_deletion() {
    for seed in 0..20 {
        let dice = SeededEntropy::new(seed);
        let (disk, mut job) = (Disk::default(), None);
        for life in 0..6 {
            let conditions = Conditions {
                habits: Habits {
                    repeat_every: Some(2),
                    lose_every: Some(7),
                    ..Habits::default()
                },
                seed: dice.number(),
                ..Conditions::default()
            };
            let world = world(&disk, source(), &conditions).await;
            if life == 0 {
                job = Some(world.kick_off_since(SINCE).await.unwrap());
            }
            for _ in 0..dice.number() % 400 {
                tokio::task::yield_now().await;
            }
        }
        let conditions = Conditions {
            seed: dice.number(),
            ..Conditions::default()
        };
        let world = world(&disk, source(), &conditions).await;
        let manifest = manifest(&world, &job.unwrap()).await;
        let deleted = world.lines(&manifest.deleted).await.unwrap();
        assert_eq!(deleted, [BUNDLE], "seed {seed}");
        let output = world.lines(&manifest.output).await.unwrap();
        assert_eq!(output, source().lines(), "seed {seed}");
    }
}

/// G8, rule 22: neither data where deletions belong, nor deletions where data belongs.
#[tokio::test(start_paused = true)]
async fn what_is_not_of_the_slices_kind_is_not_exported() {
    let mut conditions = Conditions::default();
    conditions.policy.failed_percent = 100;
    for (reading, deleted) in [(Reading::Strays, 0), (Reading::Bundles, 1)] {
        let source = source().reading(reading);
        let world = world(&Disk::default(), source, &conditions).await;
        let job = world.kick_off_since(SINCE).await.unwrap();
        let manifest = manifest(&world, &job).await;
        assert!(manifest.output.is_empty(), "{reading:?}");
        // Bundles are what a slice of deletions should give.
        assert_eq!(manifest.deleted.len(), deleted, "{reading:?}");
        let lines = world.lines(&manifest.error).await.unwrap();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("incomplete")));
    }
}
