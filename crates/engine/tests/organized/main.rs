//! Files organized by Patient hold, for each patient, a block of exactly what the export has of the patient's
//! compartment (R-192 to R-197), and no block is torn that fits into a file.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod property;
mod rig;

use std::collections::{BTreeMap, BTreeSet};

use rig::{Asked, Done, run, types};
use sluice_fhir::search::Filter;
use sluice_fhir::{Instant, Level};
use sluice_testkit::{Reading, SmallSource};

fn header(patient: &str) -> String {
    format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"header","valueReference":{{"reference":"Patient/{patient}"}}}}]}}"#
    )
}

fn patient(id: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#)
}

/// Blocks by header: the Patient, then the rest in any order.
type Blocks = BTreeMap<String, (String, BTreeSet<String>)>;

/// What there should be: each patient's Patient and all that names the patient.
fn model(source: &SmallSource, patients: impl Iterator<Item = String>) -> Blocks {
    let lines = source.lines();
    let block = |id: String| {
        let reference = format!(r#""Patient/{id}""#);
        let theirs = lines.iter().filter(|line| line.contains(&reference));
        (header(&id), (patient(&id), theirs.cloned().collect()))
    };
    patients.map(block).collect()
}

async fn found(done: &Done) -> Blocks {
    let mut found = Blocks::new();
    for block in done.blocks().await {
        let mut lines = block.lines.into_iter();
        let patient = lines.next().unwrap();
        let count = lines.len();
        let rest: BTreeSet<String> = lines.collect();
        assert_eq!(rest.len(), count, "nothing is twice in a block");
        let before = found.insert(block.header, (patient, rest));
        assert!(before.is_none(), "a patient has one block");
    }
    found
}

fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("p{number}"))
}

/// With an Observation of two patients, one of nobody, and a Practitioner.
fn source() -> SmallSource {
    let observation = types("Observation")[0];
    let shared = r#"{"resourceType":"Observation","id":"s","subject":{"reference":"Patient/p1"},"performer":[{"reference":"Patient/p11"}]}"#;
    let nobodys = r#"{"resourceType":"Observation","id":"n"}"#;
    let doctor = r#"{"resourceType":"Practitioner","id":"d"}"#;
    SmallSource::of(12, 5)
        .with(observation, [shared, nobodys])
        .with(types("Practitioner")[0], [doctor])
}

#[tokio::test(start_paused = true)]
async fn r_192_r_197_each_block_is_a_header_a_patient_and_the_patients_compartment() {
    let want = model(&source(), numbered(12));
    let shared = |(_, rest): &&(String, BTreeSet<String>)| {
        rest.iter().any(|line| line.contains(r#""id":"s""#))
    };
    assert_eq!(want.values().filter(shared).count(), 2);
    for (chunk_bytes, file_bytes) in [(1, 1), (100, 600), (100_000, 2_000), (100_000, 1 << 20)] {
        for level in [Level::System, Level::Patient] {
            let asked = Asked {
                level,
                types: types("Observation,Patient,Practitioner"),
                chunk_bytes,
                file_bytes,
                ..Asked::default()
            };
            let done = run(source(), &asked).await;
            // The same whatever the cut, so it is when a chunk is tried again.
            assert_eq!(found(&done).await, want, "{chunk_bytes} {file_bytes}");
            assert_eq!(done.manifest.organized_by, Some(types("Patient")[0]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r_193_r_194_blocks_share_a_file_and_none_is_torn_that_fits_into_one() {
    for (file_bytes, torn_too) in [(1, true), (200, true), (700, false), (1_500, false)] {
        let asked = Asked {
            chunk_bytes: 100_000,
            file_bytes,
            ..Asked::default()
        };
        let done = run(source(), &asked).await;
        let blocks = done.blocks().await;
        let limit = usize::try_from(file_bytes).unwrap();
        let torn: Vec<_> = blocks.iter().filter(|b| b.files.len() > 1).collect();
        assert_eq!(torn.is_empty(), !torn_too, "{file_bytes}");
        for block in torn {
            assert!(block.bytes() > limit, "{file_bytes}: {}", block.header);
        }
        for file in done.files().await {
            let bytes: usize = file.lines.iter().map(|line| line.len() + 1).sum();
            let is_full = bytes > limit;
            assert!(!is_full || file.lines.len() == 2, "R-096: {bytes}");
            assert!(file.lines.len() > 1, "a header is not alone");
        }
        let files = done.files().await.len();
        assert_eq!(files < blocks.len(), file_bytes == 1_500, "R-193");
    }
}

/// What is too large to be kept is written as it comes, and whole.
#[tokio::test(start_paused = true)]
async fn lines_and_blocks_of_any_size_pass_through() {
    let observation = types("Observation")[0];
    let line = |id: &str, bytes: usize| {
        let data = "x".repeat(bytes);
        format!(
            r#"{{"resourceType":"Observation","id":"{id}","subject":{{"reference":"Patient/p1"}},"data":"{data}"}}"#
        )
    };
    let lines = [line("l1", 3 << 20), line("l2", 60 << 20), line("l3", 9)];
    let source = || {
        let small = SmallSource::of(3, 2);
        let held = lines.iter();
        held.fold(small, |source, line| source.with(observation, [line]))
    };
    let want = model(&source(), numbered(3));
    for (maximum_file, gzip) in [(None, false), (Some(1 << 20), false), (None, true)] {
        let asked = Asked {
            chunk_bytes: 100_000,
            file_bytes: 2 << 20,
            maximum_file,
            gzip,
            ..Asked::default()
        };
        let done = run(source(), &asked).await;
        assert!(found(&done).await == want, "{maximum_file:?} {gzip}");
        let blocks = done.blocks().await;
        let torn = blocks.iter().filter(|block| block.files.len() > 1);
        let torn: Vec<&str> = torn.map(|block| block.header.as_str()).collect();
        assert_eq!(torn, [header("p1")]);
    }
}

#[tokio::test(start_paused = true)]
async fn with_since_a_block_has_what_changed_and_its_patient_all_the_same() {
    let source = || {
        let lines = SmallSource::of(3, 1).lines();
        let old = |name: &str| lines.iter().find(|line| line.contains(name)).unwrap();
        // Of p0 nothing changed, of p1 an Observation, of p2 the Patient.
        SmallSource::of(3, 1)
            .deleting(&["Observation/gone"])
            .unchanged(old(r#""id":"p0""#))
            .unchanged(old(r#""id":"o0""#))
            .unchanged(old(r#""id":"p1""#))
            .unchanged(old(r#""id":"o2""#))
    };
    let asked = Asked {
        since: Some(Instant::from_millis(0)),
        ..Asked::default()
    };
    let done = run(source(), &asked).await;
    let mut want = model(&source(), numbered(3));
    want.remove(&header("p0"));
    want.get_mut(&header("p2")).unwrap().1.clear();
    assert_eq!(found(&done).await, want);
    let [deleted] = &done.manifest.deleted[..] else {
        unreachable!("{:?}", done.manifest.deleted);
    };
    assert_eq!(deleted.count, 1, "R-156");
}

#[tokio::test(start_paused = true)]
async fn filters_and_elements_apply_within_blocks_and_leave_the_head() {
    let mut asked = Asked::default();
    for filter in ["Observation?_id=o1", "Patient?_id=p2"] {
        let filter = Filter::compile(filter, "http://h").unwrap();
        asked.selection.filters.push(filter);
    }
    asked.selection.elements.add("Observation.id").unwrap();
    let done = run(SmallSource::of(4, 1), &asked).await;
    let blocks = done.blocks().await;
    let headers: Vec<&str> = blocks.iter().map(|block| block.header.as_str()).collect();
    assert_eq!(headers, [header("p1"), header("p2")]);
    let [patient_1, observation] = &blocks[0].lines[..] else {
        unreachable!("{blocks:?}");
    };
    assert_eq!(*patient_1, patient("p1"));
    assert!(observation.contains(r#""id":"o1""#) && !observation.contains("Patient/p1\""));
    assert_eq!(blocks[1].lines, [patient("p2")]);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_patients_only_has_blocks_of_one() {
    let asked = Asked {
        types: types("Patient"),
        ..Asked::default()
    };
    let done = run(source(), &asked).await;
    let mut want = model(&source(), numbered(12));
    for (_, rest) in want.values_mut() {
        rest.clear();
    }
    assert_eq!(found(&done).await, want);
}

/// Rule 22: what a source gives beyond what it was asked for ends the chunk.
#[tokio::test(start_paused = true)]
async fn what_was_not_asked_for_is_in_no_block() {
    for reading in [Reading::Strays, Reading::Bundles] {
        let done = run(source().reading(reading), &Asked::default()).await;
        assert!(done.manifest.failure.is_some(), "{reading:?}");
        assert!(done.manifest.output.is_empty());
    }
}

/// What a source tells of every patient is told once.
#[tokio::test(start_paused = true)]
async fn what_is_told_of_every_patient_is_told_once_a_chunk() {
    let asked = Asked {
        chunk_bytes: 100_000,
        ..Asked::default()
    };
    let done = run(source().reading(Reading::Tells), &asked).await;
    assert_eq!(found(&done).await, model(&source(), numbered(12)));
    let chunks = done.journal.ended_chunks(&done.job, None).await.unwrap();
    for chunk in chunks {
        let receipt = done.journal.receipt(&done.job, chunk).await.unwrap();
        assert_eq!(receipt.unwrap().issues.len(), 1);
    }
}
