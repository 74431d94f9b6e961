//! What is exported from a server is what the `ndjson:` source exports of the same data.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use sluice_fhir::search::Filter;
use sluice_fhir::{Instant, Level};
use sluice_local::ndjson::{NdjsonOptions, NdjsonSource};
use sluice_model::Scope;
use sluice_ports::{Source, conformance};
use sluice_sample::{SampleOptions, write_folder};
use sluice_source_fhir::{FhirOptions, PostSearch, Unsearchable};
use sluice_testkit::ManualClock;
use sluice_testkit::compartments::{Case, case};
use sluice_testkit::exported::{Promise, export, id, scope, types};
use sluice_testkit::small::{lines, population};

use crate::stub::{Setup, Stub, connect};

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let stub = Stub::start(&lines(), Setup::default()).await;
    let source = stub.source().await;
    let suite = conformance::source(&source, &population(Promise::Estimate)).await;
    suite.unwrap();
}

/// Whatever the server leaves out of what may be left out.
#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_with_poor_servers() {
    let poor: [Setup; 4] = [
        Setup {
            totals: false,
            sorts: false,
            page: 1,
            ..Setup::default()
        },
        Setup {
            without: vec!["Observation.performer", "Provenance.target"],
            pretty: true,
            ..Setup::default()
        },
        Setup {
            without: vec![
                "Condition.subject",
                "Condition.patient",
                "Encounter.subject",
            ],
            ..Setup::default()
        },
        // No POST, no lists of ids, no counts, no sorting.
        Setup::meddling(|asked, reply| {
            let lists = asked.param("_id").is_some_and(|ids| ids.contains(','));
            let counts = asked.param("_summary").is_some();
            if asked.method == "POST" || asked.param("_sort").is_some() || lists || counts {
                return crate::stub::Reply::status(if asked.method == "POST" { 405 } else { 400 });
            }
            reply
        }),
    ];
    for (number, setup) in poor.into_iter().enumerate() {
        println!("server {number}");
        let stub = Stub::start(&lines(), setup).await;
        let source = stub.source().await;
        let suite = conformance::source(&source, &population(Promise::Estimate)).await;
        suite.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_export_is_what_the_model_takes(case in case(), poor in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(verify(&case, poor));
    }
}

async fn verify(case: &Case, poor: bool) {
    let lines = case.lots().concat();
    let without = if poor {
        vec!["Observation.performer"]
    } else {
        Vec::new()
    };
    let setup = Setup {
        without,
        page: 4,
        ..Setup::default()
    };
    let stub = Stub::start(&lines, setup).await;
    let options = FhirOptions {
        patients_per_chunk: 2,
        ..stub.options()
    };
    case.verify(&connect(options).await, Promise::Estimate)
        .await;
}

/// `Type/id` of what is exported, and how often.
async fn multiset(source: &dyn Source, scope: &Scope) -> BTreeMap<String, usize> {
    let mut set = BTreeMap::new();
    for line in export(source, scope, 8 << 20, Promise::Estimate).await {
        *set.entry(id(&line)).or_default() += 1;
    }
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_hospitals_come_out_as_they_do_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let sample = SampleOptions {
        patients: 7,
        seed: 3,
    };
    write_folder(&sample, folder.path(), &mut |_| {}).unwrap();
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    let clock = Arc::new(ManualClock::default());
    let options = NdjsonOptions::new(folder.path());
    let local = NdjsonSource::open(options, clock, |_| {}).unwrap();
    let setup = Setup {
        page: 100,
        ..Setup::default()
    };
    let stub = Stub::start(&lines, setup).await;
    let options = FhirOptions {
        page: 100,
        ids_per_search: 50,
        patients_per_chunk: 3,
        post: PostSearch::Always,
        unsearchable: Unsearchable::Scan,
        ..stub.options()
    };
    let remote = connect(options).await;
    let group = lines
        .iter()
        .find(|line| id(line).starts_with("Group/"))
        .unwrap();
    let group = Level::Group(id(group)[6..].to_owned());
    let patients = lines.iter().map(|line| id(line));
    let patients = patients.filter_map(|name| name.strip_prefix("Patient/").map(str::to_owned));
    let mut two: Vec<String> = patients.take(2).collect();
    two.sort_unstable();
    let since: Instant = "2025-06-01T00:00:00Z".parse().unwrap();
    let some = types(&["Provenance", "Observation", "Organization", "Practitioner"]);
    for (level, patients, since, types) in [
        (Level::System, None, None, None),
        (Level::Patient, None, None, None),
        (group.clone(), None, None, None),
        (group, None, Some(since), None),
        (Level::Patient, Some(two.clone()), None, None),
        (Level::System, Some(two), None, Some(some.clone())),
        (Level::Patient, None, Some(since), Some(some)),
    ] {
        let mut of_folder = scope(&local, level.clone()).await;
        of_folder.patients = patients;
        of_folder.since = since;
        of_folder.types = types.unwrap_or(of_folder.types);
        let expected = multiset(&local, &of_folder).await;
        let mut of_server = of_folder.clone();
        of_server.snapshot = remote.snapshot().await.unwrap();
        let found = multiset(&remote, &of_server).await;
        println!("{level:?} {since:?}: {} of {}", found.len(), expected.len());
        assert_eq!(found, expected);
    }
}

/// The server is asked for what is chosen where that loses nothing: not beside a second query, and not where
/// a Provenance is followed to what it is about.
#[tokio::test]
async fn what_is_chosen_is_asked_of_the_server() {
    let stub = Stub::start(&lines(), Setup::default()).await;
    let source = stub.source().await;
    let by_id = "Observation?_id=ab";
    for (queries, kinds, is_asked) in [
        (&[by_id][..], &["Observation"][..], true),
        (&[by_id, "Observation?_id=b"], &["Observation"], false),
        (&[by_id], &["Observation", "Provenance"], false),
        (
            &["Observation?performer=Patient/b"],
            &["Observation"],
            false,
        ),
    ] {
        let mut scope = scope(&source, Level::Patient).await;
        scope.types = types(kinds);
        let compile = |query: &&str| Filter::compile(query, "http://h").unwrap();
        scope.selection.filters = queries.iter().map(compile).collect();
        let before = stub.log().len();
        let lines = export(&source, &scope, 1 << 20, Promise::Estimate).await;
        let log = stub.log();
        let mut asked = log[before..]
            .iter()
            .filter(|asked| asked.searches("Observation"));
        let narrow =
            |asked: &crate::stub::Asked| asked.param("_id") == Some("ab") && asked.params.len() > 1;
        let names = lines.iter().map(|line| id(line));
        let mut ids: Vec<String> = names.filter(|id| id.starts_with("Obs")).collect();
        ids.sort_unstable();
        if is_asked {
            assert!(asked.any(narrow), "{queries:?}");
            assert_eq!(ids, ["Observation/ab"]);
        } else {
            assert_eq!(
                ids,
                ["Observation/ab", "Observation/b"],
                "{queries:?} {kinds:?}"
            );
        }
    }
}
