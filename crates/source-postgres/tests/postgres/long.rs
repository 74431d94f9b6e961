//! Long bodies are found in another way than others and read in pieces; whose they are goes by the same rules.

use sluice_fhir::Level;
use sluice_ports::conformance::Promise;
use sluice_source_postgres::PostgresSource;
use sluice_testkit::{exported, small};

use crate::database::Database;

/// More than is read at once.
const LONG: usize = 5 << 20;
/// One of each rule: owned, shared, brought along, about one and about what is nobody's, and nobody's.
const LENGTHENED: [&str; 9] = [
    "Condition/a",
    "Encounter/a",
    "Encounter/b",
    "Observation/ab",
    "Organization/o",
    "Provenance/1",
    "Provenance/2",
    "Provenance/3",
    "Location/nobody",
];

/// By one connection, which is all that a slice may need.
#[tokio::test]
async fn long_bodies_go_by_the_rules_of_short_ones() {
    let database = Database::new().await;
    let filler = "x".repeat(LONG);
    let lines = small::lines().map(|line| {
        let is_lengthened = LENGTHENED.contains(&exported::id(&line).as_str());
        match line.strip_suffix('}') {
            Some(most) if is_lengthened => format!(r#"{most},"implicitRules":"{filler}"}}"#),
            _ => line,
        }
    });
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    database.write(&lines).await;
    let mut options = database.options.clone();
    (options.connections, options.reads) = (1, 1);
    let source = PostgresSource::connect(&options).await.unwrap();
    let mut names: Vec<String> = lines.iter().map(|line| exported::id(line)).collect();
    names.sort_unstable();
    let of_patients = |name: &String| !small::LEFT.contains(&name.as_str());
    let patients: Vec<String> = names
        .iter()
        .filter(|name| of_patients(name))
        .cloned()
        .collect();
    for (level, expected) in [
        (Level::System, names),
        (Level::Patient, patients),
        (
            Level::Group("g".to_owned()),
            small::GROUP.map(str::to_owned).to_vec(),
        ),
    ] {
        let scope = exported::scope(&source, level).await;
        // A slice for each few, and one for all.
        for target in [300, 1 << 40] {
            let lines = exported::export(&source, &scope, target, Promise::Estimate).await;
            let mut found: Vec<String> = lines.iter().map(|line| exported::id(line)).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{:?}, {target}", scope.level);
            let long = lines.iter().filter(|line| line.len() > LONG).count();
            let wanted = expected.iter();
            let wanted = wanted.filter(|name| LENGTHENED.contains(&name.as_str()));
            assert_eq!(long, wanted.count());
        }
    }
}
