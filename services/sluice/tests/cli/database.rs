//! A database from the outside: made, filled, served, and filled again.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use sluice_stack::{Postgres, PostgresOptions, Private};

use crate::folder::{assert_same, lines, sample};
use crate::server::{Site, export, said, sluice};

fn database(server: &Private<Postgres>, words: &[&str]) -> Output {
    let mut command = sluice();
    command.arg(words[0]).args(["--into", &server.url()]);
    command.args(&words[1..]).output().unwrap()
}

/// Exports everything and returns its lines.
fn exported(site: &Site, out: &Path, words: &[&str]) -> Vec<String> {
    let done = export(&site.base(), out, words);
    assert!(done.status.success(), "{}", said(&done));
    lines(out)
}

#[test]
fn a_database_is_migrated_loaded_and_served() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(12, &data);
    let server: Private<Postgres> = Private::start(&PostgresOptions::default()).unwrap();
    let site = Site::of_source(&home.path().join("one"), &server.url());

    let early = site.refused();
    assert!(early.contains("sluice migrate"), "{early}");
    for told in ["applied 1", "up to date"] {
        let migrated = database(&server, &["migrate"]);
        assert!(
            migrated.status.success() && said(&migrated).contains(told),
            "{}",
            said(&migrated)
        );
    }
    let data_path = data.to_str().unwrap();
    for told in ["new", "unchanged"] {
        let loaded = database(&server, &["load", data_path]);
        assert!(
            loaded.status.success() && said(&loaded).contains(told),
            "{}",
            said(&loaded)
        );
    }
    let broken = home.path().join("broken.ndjson");
    std::fs::write(
        &broken,
        "{\"resourceType\":\"Patient\",\"id\":\"secr et\"}\n",
    )
    .unwrap();
    let refused = database(&server, &["load", broken.to_str().unwrap()]);
    let text = said(&refused);
    assert!(
        !refused.status.success() && text.contains("left out"),
        "{text}"
    );
    assert!(!text.contains("secr et"), "{text}");

    let running = site.start();
    let whole = exported(&site, &home.path().join("whole"), &["--system"]);
    assert_same(&whole, &lines(&data));
    let words = [
        "--system",
        "--type",
        "Patient",
        "--type-filter",
        "Patient?gender=female",
    ];
    let women = exported(&site, &home.path().join("women"), &words);
    let are_women = |line: &&String| {
        line.contains(r#""resourceType":"Patient""#) && line.contains(r#""gender":"female""#)
    };
    let expected: Vec<String> = whole.iter().filter(are_women).cloned().collect();
    assert_same(&women, &expected);
    assert!(!women.is_empty() && women.len() < 12);
    provenances_come_along_and_blocks_hold_the_same(&site, home.path());
    assert!(running.stop());
}

/// A view over tables of the site's own, named in the settings.
#[test]
fn a_sites_own_view_is_served() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(6, &data);
    let server: Private<Postgres> = Private::start(&PostgresOptions::default()).unwrap();
    let sql = |text: &str| server.server().sql(text).unwrap();
    sql("CREATE SCHEMA fhir");
    sql(
        "CREATE TABLE fhir.rows (kind text, id text, patient text, last_updated timestamptz, body text)",
    );
    let file = home.path().join("rows.txt");
    let rows: String = lines(&data)
        .iter()
        .map(|line| line.replace('\\', "\\\\") + "\n")
        .collect();
    std::fs::write(&file, rows).unwrap();
    sql("CREATE TABLE fhir.input (body text)");
    sql(&format!("\\copy fhir.input FROM '{}'", file.display()));
    sql(
        "INSERT INTO fhir.rows SELECT body::json->>'resourceType', body::json->>'id', NULL, \
         (body::json#>>'{meta,lastUpdated}')::timestamptz, body FROM fhir.input",
    );
    let site = Site::of_source(&home.path().join("one"), &server.url());
    let site = site
        .with("SLUICE_TENANTS__DEFAULT__POSTGRES__RELATION", "fhir.rows")
        .with("SLUICE_TENANTS__DEFAULT__POSTGRES__COLUMNS__TYPE", "kind");
    let running = site.start();
    let whole = exported(&site, &home.path().join("whole"), &["--system"]);
    assert_same(&whole, &lines(&data));
    assert!(running.stop());
}

/// R-070, R-192: what `includeAssociatedData` and `organizeOutputBy` make of a database, held against its plain export.
fn provenances_come_along_and_blocks_hold_the_same(site: &Site, home: &Path) {
    let read = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let kind = |line: &String| read(line)["resourceType"].as_str().unwrap().to_owned();
    let plain = exported(site, &home.join("plain"), &[]);

    let some = ["--type", "Patient,Condition"];
    let relevant = "RelevantProvenanceResources";
    let along = [&some[..], &["--include-associated-data", relevant]].concat();
    let along = exported(site, &home.join("along"), &along);
    let chosen: Vec<&String> = plain
        .iter()
        .filter(|line| ["Patient", "Condition"].contains(&kind(line).as_str()))
        .collect();
    let names: BTreeSet<String> = chosen
        .iter()
        .map(|line| format!("{}/{}", kind(line), read(line)["id"].as_str().unwrap()))
        .collect();
    let is_about = |line: &&String| {
        let targets = read(line)["target"].as_array().cloned().unwrap_or_default();
        let mut references = targets
            .iter()
            .filter_map(|target| target["reference"].as_str());
        kind(line) == "Provenance" && references.any(|reference| names.contains(reference))
    };
    let about: Vec<&String> = plain.iter().filter(is_about).collect();
    assert!(!about.is_empty());
    let mut expected: Vec<String> = chosen.into_iter().chain(about).cloned().collect();
    expected.sort_unstable();
    assert_same(&along, &expected);

    let blocks = exported(site, &home.join("blocks"), &["--organize-by", "Patient"]);
    let (headers, held): (Vec<String>, Vec<String>) = blocks
        .into_iter()
        .partition(|line| kind(line) == "Parameters");
    let patients = plain.iter().filter(|line| kind(line) == "Patient");
    assert_eq!(headers.len(), patients.count());
    let held: BTreeSet<&String> = held.iter().collect();
    let elsewhere = |line: &&String| !held.contains(line);
    let left: BTreeSet<String> = plain.iter().filter(elsewhere).map(kind).collect();
    for kind in &left {
        assert!(
            IN_NO_COMPARTMENT.contains(&kind.as_str()),
            "a {kind} is in no block"
        );
    }
    assert!(held.iter().all(|line| plain.contains(line)));
}

/// Types of samples that are, or may be, in nobody's compartment.
const IN_NO_COMPARTMENT: [&str; 7] = [
    "Device",
    "Endpoint",
    "Location",
    "Medication",
    "Organization",
    "Practitioner",
    "PractitionerRole",
];
