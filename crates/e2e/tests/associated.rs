//! Provenances that come along with what is exported, whatever dies meanwhile.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what surprises a test should end it"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_e2e::{Client, Conditions, Disk, Ended, World};
use sluice_fhir::parameters::Kickoff;
use sluice_fhir::search::Filter;
use sluice_fhir::{Provenances, ResourceType};
use sluice_model::{ChunkId, JobRef, Tally};
use sluice_testkit::{Faults, SeededEntropy, SmallSource};

const PATIENTS: u64 = 30;
const EACH: u64 = 6;

fn kind(name: &str) -> ResourceType {
    name.parse().unwrap()
}

/// Provenances about one thing or several, some of them not there, recorded at few moments so that some are as
/// new as others.
fn provenances(seed: u64) -> Vec<Value> {
    let dice = SeededEntropy::new(seed);
    let target = || {
        let reference = match dice.number() % 8 {
            0 => format!("Patient/p{}", dice.number() % PATIENTS),
            1 => format!("Encounter/o{}", dice.number() % PATIENTS),
            2 => format!("urn:uuid:p{}", dice.number() % PATIENTS),
            _ => format!("Observation/o{}", dice.number() % (PATIENTS * EACH + 9)),
        };
        json!({ "reference": reference })
    };
    let one = |n: u64| {
        let targets: Vec<Value> = (0..=dice.number() % 3).map(|_| target()).collect();
        json!({
            "resourceType": "Provenance",
            "id": format!("v{n}"),
            "meta": { "lastUpdated": format!("2026-02-0{}T00:00:00Z", 1 + dice.number() % 2) },
            "target": targets,
            "recorded": format!("2026-01-0{}T00:00:00Z", 1 + dice.number() % 3),
        })
    };
    (0..200).map(one).collect()
}

fn source(provenances: &[Value]) -> Arc<SmallSource> {
    let of = |number: u64| usize::try_from(number).unwrap();
    let lines = provenances.iter().map(Value::to_string);
    Arc::new(SmallSource::of(of(PATIENTS), of(EACH)).with(ResourceType::PROVENANCE, lines))
}

/// Of Patients some are exported, of Observations all, or none.
fn asked(which: Provenances, types: &[&str]) -> Kickoff {
    let mut types: Vec<ResourceType> = types.iter().map(|name| kind(name)).collect();
    types.sort_unstable();
    Kickoff {
        types: Some(types),
        filters: vec![Filter::compile("Patient?_id=p1,p2,p3,p5,p8,p13", "").unwrap()],
        associated: Some(which),
        ..Kickoff::default()
    }
}

fn is_about(provenance: &Value, name: &str) -> bool {
    let id = name.split_once('/').unwrap().1;
    let targets = provenance["target"].as_array().unwrap().iter();
    let references = targets.map(|target| target["reference"].as_str().unwrap());
    { references }.any(|reference| {
        reference == name
            || reference
                .strip_prefix("urn:uuid:")
                .is_some_and(|own| own == id)
    })
}

/// What is exported beside Provenances, by name, and of those, by id: as a page of prose would say it. Where two
/// are as new as each other either may be the newest, so these are sets of which one has to be there.
fn check(lines: &[String], asked: &Kickoff, provenances: &[Value], context: &str) {
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let name = |line: &Value| {
        let text = |member: &str| line[member].as_str().unwrap().to_owned();
        format!("{}/{}", text("resourceType"), text("id"))
    };
    let names: Vec<String> = lines.iter().map(name).collect();
    let found: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(found.len(), names.len(), "{context}: each once");
    let (others, found): (Vec<&str>, Vec<&str>) = found
        .into_iter()
        .partition(|name| !name.starts_with("Provenance/"));
    let types = asked.types.as_ref().unwrap();
    let patients = ["p1", "p2", "p3", "p5", "p8", "p13"];
    let observations = types.contains(&kind("Observation"));
    let expected =
        patients.len() + usize::try_from(PATIENTS * EACH).unwrap() * usize::from(observations);
    assert_eq!(others.len(), expected, "{context}");

    let besides = types.contains(&ResourceType::PROVENANCE);
    let mut wanted = BTreeSet::new();
    for other in &others {
        let about = provenances
            .iter()
            .filter(|provenance| is_about(provenance, other));
        let about: Vec<&Value> = about.collect();
        let age = |one: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&one["recorded"]), text(&one["meta"]["lastUpdated"]))
        };
        let newest = about.iter().map(|one| age(one)).max();
        let newest = about.iter().filter(|one| Some(age(one)) == newest);
        match asked.associated.unwrap() {
            Provenances::Relevant => wanted.extend(about.iter().map(|one| name(one))),
            Provenances::Latest => {
                let newest: Vec<String> = newest.map(|one| name(one)).collect();
                let there = newest.iter().filter(|name| found.contains(&name.as_str()));
                let there: Vec<&String> = there.collect();
                assert_eq!(there.is_empty(), newest.is_empty(), "{context}: {other}");
                wanted.extend(newest);
            }
        }
    }
    match asked.associated.unwrap() {
        // Nobody else's: each is as new as any about something that is there.
        Provenances::Latest => {
            assert!(found.iter().all(|name| wanted.contains(*name)), "{context}");
        }
        Provenances::Relevant if besides => assert_eq!(found.len(), provenances.len(), "{context}"),
        Provenances::Relevant => {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            assert_eq!(found, wanted, "{context}");
        }
    }
}

async fn lines(client: &Client, job: &JobRef, context: &str) -> Vec<String> {
    let Ended::Complete(manifest) = client.ended(job).await else {
        panic!("{context}: the export did not complete");
    };
    assert!(manifest.error.is_empty(), "{context}");
    client.lines(&manifest.output).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn r_069_r_070_provenances_come_along_with_what_they_are_about() {
    for seed in 0..6 {
        let provenances = provenances(seed);
        let source = source(&provenances);
        let disk = Disk::default();
        let world = World::start(&disk, source.clone(), &Conditions::default())
            .await
            .unwrap();
        for which in [Provenances::Latest, Provenances::Relevant] {
            for types in [
                &["Observation", "Patient"][..],
                &["Observation", "Patient", "Provenance"],
                &["Patient"],
            ] {
                let context = format!("seed {seed}, {which:?}, {types:?}");
                let asked = asked(which, types);
                let job = world.kick_off_asking(asked.clone()).await.unwrap();
                let lines = lines(&world, &job, &context).await;
                check(&lines, &asked, &provenances, &context);
            }
        }
    }
}

/// The same set, whoever died in the middle of which part.
#[tokio::test(start_paused = true)]
async fn r_069_dying_at_any_moment_loses_and_doubles_no_provenance() {
    let mut deaths_at_work = 0;
    for seed in 0..20 {
        let dice = SeededEntropy::new(seed);
        let provenances = provenances(seed);
        let source = source(&provenances);
        let which = [Provenances::Latest, Provenances::Relevant][usize::from(seed % 2 == 0)];
        let asked = asked(which, &["Observation", "Patient"]);
        let (disk, mut job) = (Disk::default(), None);
        for life in 0..8 {
            let conditions = Conditions {
                seed: dice.number(),
                ..Conditions::default()
            };
            let world = World::start(&disk, source.clone(), &conditions)
                .await
                .unwrap();
            if life == 0 {
                job = Some(world.kick_off_asking(asked.clone()).await.unwrap());
            }
            // Short lives, or most would see the end: what waits passes quickly where time is not waited for.
            for _ in 0..dice.number() % 400 {
                tokio::task::yield_now().await;
            }
            let journal = world.journal();
            let is_over = journal
                .manifest(job.as_ref().unwrap())
                .await
                .unwrap()
                .is_some();
            deaths_at_work += u32::from(!is_over);
        }
        let job = job.unwrap();
        let world = World::start(&disk, source.clone(), &Conditions::default())
            .await
            .unwrap();
        let context = format!("seed {seed}");
        let lines = lines(&world, &job, &context).await;
        check(&lines, &asked, &provenances, &context);
    }
    println!("{deaths_at_work} deaths before the end");
    assert!(
        deaths_at_work > 20,
        "only {deaths_at_work} deaths fell before the end"
    );
}

/// An index that counts a chunk of which the journal has no receipt would keep all that wait for it waiting.
#[tokio::test(start_paused = true)]
async fn an_index_that_is_ahead_of_the_journal_is_made_anew_where_chunks_wait() {
    let provenances = provenances(1);
    let (disk, conditions) = (Disk::default(), Conditions::default());
    let world = World::start(&disk, source(&provenances), &conditions);
    let world = world.await.unwrap();
    let asked = asked(Provenances::Latest, &["Observation", "Patient"]);
    let job = world.kick_off_asking(asked.clone()).await.unwrap();
    let index = &world.ports().index;
    let planned = loop {
        let status = index.get(&job).await.unwrap().unwrap();
        if status.planned.chunks > 0 {
            break status.planned.chunks;
        }
        tokio::task::yield_now().await;
    };
    let last = ChunkId::from_ordinal(planned - 1);
    let told = index
        .chunk_done(&job, last.ordinal(), Tally::default())
        .await;
    told.unwrap();
    let receipt = world.journal().receipt(&job, last).await.unwrap();
    assert!(receipt.is_none(), "the chunk has ended already");
    let lines = lines(&world, &job, "ahead").await;
    check(&lines, &asked, &provenances, "ahead");
}

/// Small enough that every call can fail in turn.
async fn export_with(faults: &Faults) {
    let conditions = Conditions {
        faults: faults.clone(),
        ..Conditions::default()
    };
    let line = |(id, about): (&str, &str)| {
        let target = json!([{ "reference": about }]);
        json!({ "resourceType": "Provenance", "id": id, "target": target }).to_string()
    };
    let about = [
        ("a", "Patient/p1"),
        ("b", "Observation/o2"),
        ("c", "Patient/p9"),
    ];
    let source = SmallSource::of(2, 2).with(ResourceType::PROVENANCE, about.map(line));
    let world = World::start(&Disk::default(), Arc::new(source), &conditions)
        .await
        .unwrap();
    let asked = Kickoff {
        associated: Some(Provenances::Latest),
        partial_manifests: true,
        ..Kickoff::default()
    };
    let job = loop {
        if let Ok(job) = world.kick_off_asking(asked.clone()).await {
            break job;
        }
    };
    let pages = world.pages(&job).await.unwrap();
    let files: Vec<_> = pages.iter().flat_map(|page| page.output.clone()).collect();
    let lines = world.lines(&files).await.unwrap();
    let provenances = lines.iter().filter(|line| line.contains("Provenance"));
    assert_eq!((lines.len(), provenances.count()), (8, 2));
}

#[tokio::test(start_paused = true)]
async fn r_069_any_single_call_may_fail() {
    let quiet = Faults::default();
    export_with(&quiet).await;
    let calls = quiet.calls();
    assert!(
        calls > 100,
        "{calls} calls are too few to be a whole export"
    );
    for (faults, _) in Faults::each_of(calls) {
        export_with(&faults).await;
    }
}
