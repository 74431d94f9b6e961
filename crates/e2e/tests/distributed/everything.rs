//! Every parameter of `$export` at once, by the three services, while workers are killed; held against a plain reading of
//! the guide that shares no code with what chooses, trims and matches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::{Value, json};
use sluice_fhir::{Instant, Level, ResourceType};
use sluice_local::SystemClock;
use sluice_local::ndjson::{NdjsonOptions, NdjsonSource};
use sluice_model::{Scope, Selection};
use sluice_ports::Source;

use crate::clients::ask;
use crate::data::sample;
use crate::moments::{Moment, assert_unended, reached};
use crate::site::{Service, Site, curl};

const SINCE: &str = "2018-06-01T00:00:00.000Z";
const UNTIL: &str = "2024-06-01T00:00:00.000Z";
const TYPES: [&str; 4] = ["Condition", "Encounter", "Observation", "Patient"];
const FILTERS: [&str; 3] = [
    "Observation?category=laboratory&status=final",
    "Observation?code=http://loinc.org|85354-9",
    "Encounter?class=AMB",
];
const ELEMENTS: &str =
    "Observation.subject,Observation.valueQuantity,Encounter.period,Patient.name,Patient.gender";

/// Resources by `Type/id`.
type Resources = BTreeMap<String, Value>;

fn name(resource: &Value) -> String {
    let text = |member: &str| resource[member].as_str().unwrap();
    format!("{}/{}", text("resourceType"), text("id"))
}

/// The files of a population.
async fn open(folder: &Path) -> NdjsonSource {
    let options = NdjsonOptions::new(folder);
    let opened = tokio::task::spawn_blocking(|| {
        NdjsonSource::open(options, Arc::new(SystemClock), |_| {}).unwrap()
    });
    opened.await.unwrap()
}

/// What some patients have of some types, as the files say it.
async fn population(
    source: &NdjsonSource,
    patients: &[String],
    types: &[&str],
    window: bool,
) -> Resources {
    let time = |text: &str| window.then(|| text.parse::<Instant>().unwrap());
    let mut kinds: Vec<ResourceType> = types.iter().map(|kind| kind.parse().unwrap()).collect();
    kinds.sort_unstable();
    let scope = Scope {
        selection: Selection::default(),
        types: kinds,
        level: Level::Patient,
        since: time(SINCE),
        until: time(UNTIL),
        patients: Some(patients.to_vec()),
        snapshot: source.snapshot().await.unwrap(),
    };
    let plan = source.plan(&scope, 1 << 40, 10_000, None).await.unwrap();
    let mut found = Resources::new();
    for chunk in plan.chunks {
        let blocks = source.read(&scope, &chunk.slice).await.unwrap();
        let blocks: Vec<_> = blocks
            .map_ok(|block| block.bytes)
            .try_collect()
            .await
            .unwrap();
        let text = String::from_utf8(blocks.concat()).unwrap();
        for line in text.lines() {
            let resource: Value = serde_json::from_str(line).unwrap();
            assert!(found.insert(name(&resource), resource).is_none());
        }
    }
    found
}

fn has_code(concept: &Value, system: Option<&str>, code: &str) -> bool {
    let codings = concept["coding"].as_array().into_iter().flatten();
    { codings }.any(|coding| {
        coding["code"] == code && system.is_none_or(|system| coding["system"] == system)
    })
}

/// Whether the queries let a resource through.
fn is_chosen(resource: &Value) -> bool {
    let categories = || resource["category"].as_array().into_iter().flatten();
    match resource["resourceType"].as_str().unwrap() {
        "Observation" => {
            let of_the_lab = categories().any(|one| has_code(one, None, "laboratory"));
            (of_the_lab && resource["status"] == "final")
                || has_code(&resource["code"], Some("http://loinc.org"), "85354-9")
        }
        "Encounter" => resource["class"]["code"] == "AMB",
        _ => true,
    }
}

/// What `_elements` leaves of a resource.
fn trimmed(resource: &Value) -> Value {
    let kept: &[&str] = match resource["resourceType"].as_str().unwrap() {
        "Observation" => &["status", "code", "subject", "valueQuantity"],
        "Encounter" => &["status", "class", "period"],
        "Patient" => &["name", "gender"],
        _ => return resource.clone(),
    };
    let always = [
        "resourceType",
        "id",
        "meta",
        "implicitRules",
        "modifierExtension",
    ];
    let mut left = resource.as_object().unwrap().clone();
    let members = left.len();
    left.retain(|member, _| {
        let element = member.strip_prefix('_').unwrap_or(member);
        always.contains(&element) || kept.contains(&element)
    });
    let is_whole = left.len() == members;
    let mut left = Value::Object(left);
    if !is_whole {
        let tag = json!({
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "SUBSETTED",
        });
        match &mut left["meta"]["tag"] {
            Value::Array(tags) => tags.push(tag),
            none => *none = json!([tag]),
        }
    }
    left
}

/// The newest Provenance about each of some resources.
fn newest(provenances: &Resources, about: &Resources) -> Resources {
    let mut by_target: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for provenance in provenances.values() {
        for target in provenance["target"].as_array().unwrap() {
            let target = target["reference"].as_str().unwrap();
            by_target.entry(target).or_default().push(provenance);
        }
    }
    let recorded = |one: &Value| {
        one["recorded"]
            .as_str()
            .unwrap()
            .parse::<Instant>()
            .unwrap()
    };
    let mut found = Resources::new();
    for target in about.keys() {
        let about = by_target
            .get(target.as_str())
            .map_or(&[][..], Vec::as_slice);
        let last = about.iter().map(|one| recorded(one)).max();
        let mut last = about.iter().filter(|one| Some(recorded(one)) == last);
        if let Some(one) = last.next() {
            assert!(
                last.next().is_none(),
                "{target}: two are as new as each other"
            );
            found.insert(name(one), (*one).clone());
        }
    }
    found
}

/// What has to be in the export, of these patients.
async fn oracle(source: &NdjsonSource, patients: &[String]) -> Resources {
    let mut chosen = population(source, patients, &TYPES, true).await;
    chosen.retain(|_, resource| is_chosen(resource));
    with_provenances(source, patients, chosen).await
}

/// With the Provenances that come along, and trimmed.
async fn with_provenances(
    source: &NdjsonSource,
    patients: &[String],
    chosen: Resources,
) -> Resources {
    let provenances = population(source, patients, &["Provenance"], false).await;
    let mut expected = newest(&provenances, &chosen);
    let others = chosen
        .values()
        .map(|resource| (name(resource), trimmed(resource)));
    expected.extend(others);
    expected
}

/// What has to be in the blocks of an organized export: where anything of a patient is in the export the Patient is, too.
async fn oracle_of_blocks(
    source: &NdjsonSource,
    patients: &[String],
) -> BTreeMap<String, Resources> {
    let mut blocks = BTreeMap::new();
    for id in patients {
        let one = std::slice::from_ref(id);
        let mut chosen = population(source, one, &TYPES, true).await;
        chosen.retain(|_, resource| is_chosen(resource));
        if !chosen.is_empty() {
            chosen.extend(population(source, one, &["Patient"], false).await);
            blocks.insert(
                format!("Patient/{id}"),
                with_provenances(source, one, chosen).await,
            );
        }
    }
    blocks
}

/// All patients but a few.
fn patients(folder: &Path) -> Vec<String> {
    let patients = std::fs::read_to_string(folder.join("Patient.ndjson")).unwrap();
    let patients = patients
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: BTreeSet<String> = patients
        .map(|patient| patient["id"].as_str().unwrap().to_owned())
        .collect();
    ids.into_iter().skip(10).collect()
}

/// Every parameter that there is; one only if that is wanted, for it changes what files are.
fn request(patients: &[String], organized: bool) -> Value {
    let mut list = vec![
        json!({ "name": "_outputFormat", "valueString": "application/fhir+ndjson" }),
        json!({ "name": "_since", "valueInstant": SINCE }),
        json!({ "name": "_until", "valueInstant": UNTIL }),
        json!({ "name": "_type", "valueString": TYPES.join(",") }),
        json!({ "name": "_elements", "valueString": ELEMENTS }),
        json!({ "name": "_minimumFileSize", "valueInteger": 100_000 }),
        json!({ "name": "_maximumFileSize", "valueInteger": 1 << 20 }),
        json!({ "name": "includeAssociatedData", "valueCode": "LatestProvenanceResources" }),
        json!({ "name": "allowPartialManifests", "valueBoolean": true }),
    ];
    list.extend(FILTERS.map(|query| json!({ "name": "_typeFilter", "valueString": query })));
    let patient = |id: &String| {
        let reference = format!("Patient/{id}");
        json!({ "name": "patient", "valueReference": { "reference": reference } })
    };
    list.extend(patients.iter().map(patient));
    if organized {
        list.push(json!({ "name": "organizeOutputBy", "valueCode": "Patient" }));
    }
    json!({ "resourceType": "Parameters", "parameter": list })
}

/// Kicks off; says where to poll.
fn kick_off(site: &Site, body: &Value) -> String {
    let url = format!("{}/Patient/$export", site.base("one"));
    let file = site.home().join("request.json");
    std::fs::write(&file, body.to_string()).unwrap();
    let data = format!("@{}", file.display());
    let answer = ask(&[
        "-H",
        "Content-Type: application/fhir+json",
        "-H",
        "Prefer: respond-async, separate-export-status",
        "--data-binary",
        &data,
        &url,
    ]);
    assert_eq!(answer.status, 202, "{}", answer.body);
    let applied = answer.header("preference-applied").unwrap();
    assert!(applied.contains("separate-export-status"), "{applied}");
    answer.header("content-location").unwrap().to_owned()
}

/// The pages of the manifest, once the export is complete.
async fn pages(status_url: &str) -> Vec<Value> {
    for _ in 0..300 {
        let answer = ask(&[status_url]);
        let export = answer.header("x-export-status").unwrap_or_default();
        match (answer.status, export.split(' ').next().unwrap_or_default()) {
            (200, "200") => {
                let mut pages = vec![answer.json()];
                while let Some(next) = pages[pages.len() - 1]["link"][0]["url"].as_str() {
                    let next = next.to_owned();
                    tokio::time::sleep(Duration::from_millis(1100)).await;
                    pages.push(ask(&[&next]).json());
                }
                return pages;
            }
            (200, "202") | (429, _) => {}
            _ => panic!("{answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    panic!("{status_url} does not end");
}

/// The lines of a file, by the link that the manifest has.
fn lines(entry: &Value) -> Vec<Value> {
    let text = curl(&["-s", "--compressed", entry["url"].as_str().unwrap()]);
    assert!(text.len() <= 1 << 20, "R-096");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(entry["count"], lines.len());
    lines
}

/// Everything that the pages name, each resource once.
fn exported(pages: &[Value]) -> Resources {
    let mut found = Resources::new();
    for page in pages {
        for entry in page["output"].as_array().unwrap() {
            for line in lines(entry) {
                assert_eq!(line["resourceType"], entry["type"], "R-191");
                assert!(found.insert(name(&line), line).is_none(), "once each");
            }
        }
    }
    found
}

/// The blocks of all files, by the reference in their headers. A block that a file ends in the middle of goes on in the one
/// that the file says.
fn blocks(pages: &[Value]) -> BTreeMap<String, Resources> {
    let mut found: BTreeMap<String, Resources> = BTreeMap::new();
    let entries: Vec<&Value> = pages
        .iter()
        .flat_map(|page| {
            assert_eq!(page["outputOrganizedBy"], "Patient", "R-152");
            page["output"].as_array().unwrap()
        })
        .collect();
    let continuations = entries
        .iter()
        .filter_map(|entry| entry["continuesInFile"].as_str());
    // A link differs each time that it is signed; what it leads to does not.
    let place = |url: &str| url.split('?').next().unwrap().to_owned();
    let continuations: BTreeSet<String> = continuations.map(place).collect();
    for entry in &entries {
        assert!(entry.get("type").is_none(), "R-144");
        let mut goes_on = continuations.contains(&place(entry["url"].as_str().unwrap()));
        let mut lines = lines(entry).into_iter().peekable();
        assert!(
            lines
                .peek()
                .is_some_and(|line| line["resourceType"] == "Parameters")
        );
        let mut patient = String::new();
        while let Some(line) = lines.next() {
            if line["resourceType"] == "Parameters" {
                assert_eq!(line["parameter"][0]["name"], "header", "R-192");
                let reference = &line["parameter"][0]["valueReference"]["reference"];
                reference.as_str().unwrap().clone_into(&mut patient);
                if !std::mem::take(&mut goes_on) {
                    let head = name(lines.peek().unwrap());
                    assert_eq!(head, patient, "the Patient comes first (R-192)");
                    assert!(!found.contains_key(&patient), "one block each");
                }
                continue;
            }
            let block = found.entry(patient.clone()).or_default();
            assert!(block.insert(name(&line), line).is_none(), "once in a block");
        }
    }
    found
}

fn assert_same(found: &Resources, expected: &Resources) {
    let missing = expected
        .keys()
        .filter(|name| !found.contains_key(*name))
        .count();
    let more = found
        .keys()
        .filter(|name| !expected.contains_key(*name))
        .count();
    assert_eq!(
        (missing, more),
        (0, 0),
        "missing, and more than there should be"
    );
    let differ = found.iter().filter(|(name, one)| expected[*name] != **one);
    assert_eq!(
        differ.count(),
        0,
        "resources that are not as they should be"
    );
}

/// Kills one worker after another and starts others, from when something has been exported on.
async fn killing(site: &Site) {
    reached(site, Moment::Exporting).await;
    for number in 0..3 {
        site.start((Service::Worker, number + 2));
        site.kill((Service::Worker, number));
        if number == 0 {
            assert_unended(site).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A deployment, its data and the patients that are asked for.
struct Case {
    site: Site,
    folder: PathBuf,
    patients: Vec<String>,
    _home: tempfile::TempDir,
}

impl Case {
    fn new(name: &str, seed: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("data");
        sample(150, seed, &folder);
        let site = Site::new(name, &[("one", &folder)]);
        site.start_all(1, 2, 2);
        Self {
            site,
            patients: patients(&folder),
            folder,
            _home: home,
        }
    }

    /// Exports all that can be asked for while workers are killed.
    async fn pages(&self, organized: bool) -> Vec<Value> {
        let status_url = kick_off(&self.site, &request(&self.patients, organized));
        let (pages, ()) = tokio::join!(pages(&status_url), killing(&self.site));
        // That some resources have no known time is all that there is to say.
        for entry in pages
            .iter()
            .flat_map(|page| page["error"].as_array().unwrap())
        {
            for outcome in lines(entry) {
                assert_eq!(outcome["issue"][0]["severity"], "information", "{outcome}");
            }
        }
        pages
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_at_once_gives_what_a_plain_reading_gives() {
    let case = Case::new("everything", 9);
    let pages = case.pages(false).await;
    let found = exported(&pages);
    let expected = oracle(&open(&case.folder).await, &case.patients).await;
    println!(
        "everything: {} patients, {} resources on {} pages",
        case.patients.len(),
        expected.len(),
        pages.len()
    );
    for kind in TYPES.iter().chain(&["Provenance"]) {
        let prefix = format!("{kind}/");
        let some = expected.keys().any(|name| name.starts_with(&prefix));
        assert!(some, "the oracle has no {kind}");
    }
    assert_same(&found, &expected);
}

/// The same with `organizeOutputBy`, which makes blocks of it.
#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_at_once_and_organized_gives_blocks_of_the_same() {
    let case = Case::new("organized", 10);
    let pages = case.pages(true).await;
    let found = blocks(&pages);
    let expected = oracle_of_blocks(&open(&case.folder).await, &case.patients).await;
    println!(
        "organized: {} blocks on {} pages",
        expected.len(),
        pages.len()
    );
    let names = |blocks: &BTreeMap<String, Resources>| blocks.keys().cloned().collect::<Vec<_>>();
    assert!(names(&found) == names(&expected), "not the same blocks");
    for (patient, block) in &expected {
        assert_same(&found[patient], block);
    }
}
