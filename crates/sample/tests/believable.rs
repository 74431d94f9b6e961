//! What the resources of a data set hold, and how they hang together.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod lines;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::LazyLock;

use lines::lines_of;
use serde_json::Value;
use sluice_sample::SampleSummary;

const PATIENTS: u32 = 100;

static SAMPLE: LazyLock<(Vec<Value>, SampleSummary)> = LazyLock::new(|| {
    let (lines, summary) = lines_of(PATIENTS, 1);
    let read = |(kind, line): (&str, Vec<u8>)| {
        assert!(!line.contains(&b'\n'));
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["resourceType"], kind);
        value
    };
    (lines.into_iter().map(read).collect(), summary)
});

fn name_of(resource: &Value) -> String {
    let [kind, id] = ["resourceType", "id"].map(|key| resource[key].as_str().unwrap());
    format!("{kind}/{id}")
}

/// Every reference anywhere in a value.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("reference").and_then(Value::as_str));
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The patients whose compartments a resource lies in, by the elements that the sample uses.
fn patients_of(resource: &Value) -> BTreeSet<&str> {
    let mut found = Vec::new();
    for key in [
        "subject",
        "patient",
        "performer",
        "target",
        "subscriber",
        "policyHolder",
        "beneficiary",
        "payor",
        "participant",
    ] {
        references(&resource[key], &mut found);
    }
    found
        .into_iter()
        .filter(|reference| reference.starts_with("Patient/"))
        .collect()
}

fn assert_about(what: &str, found: f64, wanted: f64, percent: f64) {
    let off = (found - wanted).abs() / wanted * 100.0;
    assert!(
        off <= percent,
        "{what}: {found}, which is {off:.0} % off {wanted}"
    );
}

#[test]
fn ids_are_unique_and_of_the_shape_that_fhir_allows() {
    let mut seen = HashSet::new();
    for resource in &SAMPLE.0 {
        let id = resource["id"].as_str().unwrap();
        assert!(id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        assert!(seen.insert(name_of(resource)));
    }
}

#[test]
fn every_reference_resolves() {
    let known: HashSet<String> = SAMPLE.0.iter().map(name_of).collect();
    for resource in &SAMPLE.0 {
        let mut found = Vec::new();
        references(resource, &mut found);
        for reference in found {
            assert!(
                known.contains(reference),
                "{} -> {reference}",
                name_of(resource)
            );
        }
    }
}

#[test]
fn some_of_the_pool_are_named_by_nobody() {
    let mut found = Vec::new();
    SAMPLE
        .0
        .iter()
        .for_each(|resource| references(resource, &mut found));
    let found: HashSet<&str> = found.into_iter().collect();
    for kind in ["Practitioner", "Organization", "Location"] {
        let of_kind = SAMPLE
            .0
            .iter()
            .filter(|resource| resource["resourceType"] == kind);
        let alone = of_kind.filter(|resource| !found.contains(name_of(resource).as_str()));
        assert!(alone.count() >= 2, "{kind}");
    }
}

#[test]
fn a_patient_has_the_promised_number_of_resources_and_bytes() {
    let summary = &SAMPLE.1;
    let per_patient = |total: u64| f64::from(u32::try_from(total).unwrap()) / f64::from(PATIENTS);
    assert_about("resources", per_patient(summary.resources), 350.0, 15.0);
    assert_about("bytes", per_patient(summary.bytes), 450_000.0, 15.0);
    assert_eq!(summary.per_type["Patient"], u64::from(PATIENTS));
    assert_eq!(summary.per_type.values().sum::<u64>(), summary.resources);
    assert_eq!(summary.resources, SAMPLE.0.len() as u64);
    assert_eq!(summary.per_type.len(), 22);
}

#[test]
fn two_in_a_hundred_resources_have_no_last_change() {
    let without = SAMPLE
        .0
        .iter()
        .filter(|it| it["meta"].get("lastUpdated").is_none())
        .count();
    let total = f64::from(u32::try_from(SAMPLE.0.len()).unwrap());
    assert_about(
        "without",
        f64::from(u32::try_from(without).unwrap()),
        total / 50.0,
        25.0,
    );
}

#[test]
fn nothing_was_changed_before_it_happened_nor_after_the_last_day() {
    for resource in &SAMPLE.0 {
        let Some(updated) = resource["meta"]["lastUpdated"].as_str() else {
            continue;
        };
        assert!(updated < "2026-01-01", "{}", name_of(resource));
        for at in [
            &resource["effectiveDateTime"],
            &resource["occurrenceDateTime"],
            &resource["recordedDate"],
            &resource["authoredOn"],
            &resource["abatementDateTime"],
            &resource["performedPeriod"]["end"],
            &resource["created"],
        ] {
            // Ten letters are the day; the zones differ by a day at most, and only forwards.
            assert!(
                at.as_str().is_none_or(|at| at[..10] <= updated[..10]),
                "{resource}"
            );
        }
    }
}

#[test]
fn nothing_happens_to_a_patient_before_birth_or_after_death() {
    let mut lives = BTreeMap::new();
    for patient in SAMPLE.0.iter().filter(|it| it["resourceType"] == "Patient") {
        let born = patient["birthDate"].as_str().unwrap();
        let died = patient["deceasedDateTime"].as_str().unwrap_or("2026-01-01");
        lives.insert(name_of(patient), (born, died));
    }
    assert!(
        lives.values().any(|life| life.1 < "2026"),
        "somebody has died"
    );
    for resource in SAMPLE
        .0
        .iter()
        .filter(|it| it["resourceType"] == "Encounter")
    {
        let (born, died) = lives[resource["subject"]["reference"].as_str().unwrap()];
        assert!(
            resource["period"]["start"].as_str().unwrap() > born,
            "{resource}"
        );
        assert!(
            resource["period"]["end"].as_str().unwrap() < died,
            "{resource}"
        );
    }
}

#[test]
fn about_one_in_a_hundred_resources_concerns_two_patients() {
    let mut shared: BTreeMap<&str, u32> = BTreeMap::new();
    for resource in SAMPLE
        .0
        .iter()
        .filter(|resource| patients_of(resource).len() > 1)
    {
        *shared
            .entry(resource["resourceType"].as_str().unwrap())
            .or_default() += 1;
    }
    for kind in ["Observation", "Coverage", "Provenance", "CareTeam"] {
        assert!(shared.contains_key(kind), "{kind}: {shared:?}");
    }
    let per_mille = shared.values().sum::<u32>() * 1000 / u32::try_from(SAMPLE.0.len()).unwrap();
    assert!(
        (5..=20).contains(&per_mille),
        "{per_mille} in a thousand: {shared:?}"
    );
}

#[test]
fn the_groups_are_there_with_all_sorts_of_members() {
    let groups: BTreeMap<&str, &Value> = (SAMPLE.0.iter())
        .filter(|resource| resource["resourceType"] == "Group")
        .map(|group| (group["id"].as_str().unwrap(), group))
        .collect();
    let ids: Vec<_> = groups.keys().copied().collect();
    let payers = ["payer-evergreen", "payer-harbor", "payer-summit"];
    assert_eq!(ids[..2], ["all-patients", "diabetes-registry"]);
    assert_eq!(ids[2..5], payers);
    assert_eq!(ids[5..], ["retired-cohort"]);

    let members = |id: &str| groups[id]["member"].as_array().unwrap().as_slice();
    assert_eq!(members("all-patients").len(), 100);
    assert!(members("diabetes-registry").len() > 5);
    assert_eq!(
        payers.map(|id| members(id).len()).iter().sum::<usize>(),
        100
    );
    assert!(
        groups
            .iter()
            .all(|(id, group)| group["active"] == (*id != "retired-cohort"))
    );
    let all = || payers.iter().flat_map(|id| members(id));
    assert!(all().any(|member| member["inactive"] == true));
    assert!(all().any(|member| {
        member["period"]["end"]
            .as_str()
            .is_some_and(|it| it < "2026")
    }));
    assert!(all().any(|member| {
        member["period"]["end"]
            .as_str()
            .is_some_and(|it| it > "2030")
    }));
}

#[test]
fn the_registry_holds_those_who_have_diabetes() {
    let with_code = |resource: &&Value| {
        resource["resourceType"] == "Condition"
            && resource["code"]["coding"][0]["code"] == "44054006"
    };
    let ill: BTreeSet<_> = SAMPLE
        .0
        .iter()
        .filter(with_code)
        .map(|it| &it["subject"]["reference"])
        .collect_names();
    let registry = SAMPLE
        .0
        .iter()
        .find(|it| it["id"] == "diabetes-registry")
        .unwrap();
    let members = registry["member"].as_array().unwrap();
    let members = members
        .iter()
        .map(|it| &it["entity"]["reference"])
        .collect_names();
    assert_eq!(members, ill);
}

/// Gathers references into a set.
trait CollectNames {
    fn collect_names(self) -> BTreeSet<String>;
}

impl<'a, T: Iterator<Item = &'a Value>> CollectNames for T {
    fn collect_names(self) -> BTreeSet<String> {
        self.map(|it| it.as_str().unwrap().to_owned()).collect()
    }
}
