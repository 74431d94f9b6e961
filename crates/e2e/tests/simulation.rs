//! Exports among repeated, late and lost hints, and processes that die at any moment.

use std::sync::Arc;
use std::time::Duration;

use sluice_e2e::{Conditions, Disk, Ended, World, some_time};
use sluice_engine::{Caller, Cancel, Origin, Withdrawal};
use sluice_fhir::{Issue, IssueCode};
use sluice_local::Habits;
use sluice_ports::Blobs;
use sluice_testkit::{Reading, SeededEntropy, SmallSource};

const BAD: Habits = Habits {
    repeat_every: Some(2),
    late: Some((3, Duration::from_secs(40))),
    lose_every: Some(7),
};

/// More chunks than a plan page holds.
fn source() -> Arc<SmallSource> {
    Arc::new(SmallSource::of(60, 10))
}

#[tokio::test(start_paused = true)]
async fn a_bad_queue_delays_and_changes_nothing() {
    let conditions = Conditions {
        habits: BAD,
        ..Conditions::default()
    };
    let (disk, source) = (Disk::default(), source());
    let world = World::start(&disk, source.clone(), &conditions)
        .await
        .unwrap();
    let job = world.kick_off().await.unwrap();
    let Ended::Complete(manifest) = world.ended(&job).await else {
        panic!("the export did not complete");
    };
    assert_eq!(world.lines(&manifest.output).await.unwrap(), source.lines());
}

/// Everything dies again and again, and only the objects survive.
#[tokio::test(start_paused = true)]
async fn dying_at_any_moment_loses_and_doubles_nothing() {
    let mut deaths_at_work = 0;
    for seed in 0..40 {
        let dice = SeededEntropy::new(seed);
        let (disk, source) = (Disk::default(), source());
        let mut job = None;
        for life in 0..6 {
            let conditions = Conditions {
                habits: BAD,
                seed: dice.number(),
                ..Conditions::default()
            };
            let world = World::start(&disk, source.clone(), &conditions)
                .await
                .unwrap();
            if life == 0 {
                job = Some(world.kick_off().await.unwrap());
            }
            some_time(&dice).await;
            if let Some(job) = &job {
                let journal = world.journal();
                let half_done = journal.ended_chunks(job, None).await.unwrap().len();
                let finished = journal.manifest(job).await.unwrap().is_some();
                deaths_at_work += usize::from(half_done > 0 && !finished);
            }
        }
        let job = job.unwrap();
        let conditions = Conditions {
            seed: dice.number(),
            ..Conditions::default()
        };
        let world = World::start(&disk, source.clone(), &conditions)
            .await
            .unwrap();
        let Ended::Complete(manifest) = world.ended(&job).await else {
            panic!("seed {seed}: the export did not complete");
        };
        let lines = world.lines(&manifest.output).await.unwrap();
        assert_eq!(lines, source.lines(), "seed {seed}");
    }
    assert!(
        deaths_at_work > 40,
        "only {deaths_at_work} deaths fell between the first chunk and the manifest"
    );
}

/// Two whole sets of processes on one disk: two coordinators on a job, two workers on a chunk.
#[tokio::test(start_paused = true)]
async fn two_of_everything_are_harmless() {
    let (disk, source) = (Disk::default(), source());
    let conditions = |seed| Conditions {
        seed,
        ..Conditions::default()
    };
    let one = World::start(&disk, source.clone(), &conditions(1))
        .await
        .unwrap();
    let job = one.kick_off().await.unwrap();
    let two = World::start(&disk, source.clone(), &conditions(2))
        .await
        .unwrap();
    for world in [&one, &two] {
        let Ended::Complete(manifest) = world.ended(&job).await else {
            panic!("the export did not complete");
        };
        let lines = world.lines(&manifest.output).await.unwrap();
        assert_eq!(lines, source.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_export_leaves_nothing_behind() {
    let (disk, source) = (Disk::default(), source());
    let world = World::start(&disk, source, &Conditions::default())
        .await
        .unwrap();
    let job = world.kick_off().await.unwrap();
    tokio::task::yield_now().await;
    let cancel = Cancel::new(world.ports());
    let caller = Caller::anyone(Origin::default());
    assert_eq!(
        cancel.delete(&caller, &job).await.unwrap(),
        Withdrawal::Withdrawn
    );
    assert!(matches!(world.ended(&job).await, Ended::Gone));
    assert_eq!(
        cancel.delete(&caller, &job).await.unwrap(),
        Withdrawal::Unknown
    );
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert!(disk.0.list("default/", None, 10).await.unwrap().is_empty());
    assert!(matches!(world.ended(&job).await, Ended::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_finished_export_expires_as_its_manifest_promised() {
    let (disk, source) = (Disk::default(), source());
    let world = World::start(&disk, source, &Conditions::default())
        .await
        .unwrap();
    let job = world.kick_off().await.unwrap();
    assert!(matches!(world.ended(&job).await, Ended::Complete(_)));
    tokio::time::sleep(Duration::from_mins(59)).await;
    assert!(matches!(world.ended(&job).await, Ended::Complete(_)));
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert!(matches!(world.ended(&job).await, Ended::Gone));
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert!(disk.0.list("default/", None, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn remarks_of_the_source_are_in_the_error_files() {
    let remark = Issue::information("three resources have no time");
    let source = Arc::new(SmallSource::of(2, 2).remarking(remark));
    let world = World::start(&Disk::default(), source, &Conditions::default())
        .await
        .unwrap();
    let job = world.kick_off().await.unwrap();
    let Ended::Complete(manifest) = world.ended(&job).await else {
        panic!("the export did not complete");
    };
    let lines = world.lines(&manifest.error).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("three resources have no time"));
}

/// A chunk that can never be read ends its job instead of hanging it.
#[tokio::test(start_paused = true)]
async fn a_chunk_that_cannot_be_exported_fails_the_job_unless_the_policy_allows_it() {
    for (percent, completes) in [(0, false), (100, true)] {
        let mut conditions = Conditions::default();
        conditions.policy.failed_percent = percent;
        let source = Arc::new(SmallSource::of(3, 3).reading(Reading::Fails));
        let world = World::start(&Disk::default(), source, &conditions)
            .await
            .unwrap();
        let job = world.kick_off().await.unwrap();
        match world.ended(&job).await {
            Ended::Complete(manifest) if completes => {
                let lines = world.lines(&manifest.error).await.unwrap();
                assert!(!lines.is_empty() && manifest.output.is_empty());
                assert!(lines.iter().all(|line| line.contains("incomplete")));
            }
            Ended::Failed(issue) if !completes => assert_eq!(issue.code, IssueCode::Exception),
            other => panic!("{other:?} with {percent} per cent allowed to fail"),
        }
    }
}

/// G8, rule 22: what the kick-off settled binds the worker too, whatever a source gives it.
#[tokio::test(start_paused = true)]
async fn a_source_that_gives_what_was_not_asked_for_gets_nothing_exported() {
    let mut conditions = Conditions::default();
    conditions.policy.failed_percent = 100;
    let source = Arc::new(SmallSource::of(3, 3).reading(Reading::Strays));
    let world = World::start(&Disk::default(), source, &conditions)
        .await
        .unwrap();
    let job = world.kick_off().await.unwrap();
    let Ended::Complete(manifest) = world.ended(&job).await else {
        panic!("the export did not complete");
    };
    assert!(manifest.output.is_empty(), "no stray is in it");
    let lines = world.lines(&manifest.error).await.unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("incomplete")));
}

/// C11: a chunk at which the process panics is tried again and then buried; it takes nothing else
/// with it, and the job ends.
#[tokio::test(start_paused = true)]
async fn a_chunk_that_panics_is_buried_and_its_job_ends() {
    let mut conditions = Conditions::default();
    conditions.policy.failed_percent = 100;
    let source = Arc::new(SmallSource::of(3, 3).reading(Reading::Panics));
    let world = World::start(&Disk::default(), source, &conditions)
        .await
        .unwrap();
    let job = world.kick_off().await.unwrap();
    let Ended::Complete(manifest) = world.ended(&job).await else {
        panic!("the export did not complete");
    };
    let lines = world.lines(&manifest.error).await.unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("incomplete")));
}
