//! Whose data leave: the suites of sources, by what a view says of compartments.

use std::collections::BTreeMap;

use sluice_fhir::facts::scan;
use sluice_fhir::{Level, ResourceType, compartment};
use sluice_ports::conformance::{self, Deletions, Population};
use sluice_ports::{GroupQuery, PopulationError, Source};
use sluice_testkit::exported::{self, Promise, group, resource};
use sluice_testkit::small;

use super::{Row, Site, at};

/// What a level takes: all, or what is of these patients, and what no compartment can hold.
fn taken(lines: &[String], patients: Option<&[&str]>) -> BTreeMap<ResourceType, Vec<String>> {
    let mut taken: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in lines {
        let facts = scan(line.as_bytes()).unwrap();
        let is_theirs = |patients: &[&str]| {
            let mut own = facts.patients.iter().map(|target| target.id.as_str());
            match facts.kind {
                ResourceType::GROUP => false,
                ResourceType::PATIENT => patients.contains(&facts.id.as_str()),
                kind if facts.patients.is_empty() => !compartment::contains(kind),
                _ => own.any(|id| patients.contains(&id)),
            }
        };
        if patients.is_none_or(is_theirs) {
            taken.entry(facts.kind).or_default().push(line.clone());
        }
    }
    for lines in taken.values_mut() {
        lines.sort_unstable();
    }
    taken
}

/// What the suite expects of the small population.
pub(super) fn population(lines: &[String]) -> Population {
    Population {
        promise: Promise::Estimate,
        system: taken(lines, None),
        patients: taken(lines, Some(&["a", "b"])),
        group: ("g".to_owned(), taken(lines, Some(&["a"]))),
    }
}

#[tokio::test]
async fn it_conforms_whatever_the_type_of_bodies() {
    for body in ["text", "varchar", "json", "jsonb", "bytea"] {
        let site = Site::new(body, "timestamptz").await;
        let mut lines = small::lines().to_vec();
        for line in &lines {
            site.add(line).await;
        }
        if body == "jsonb" {
            // The database writes these its own way.
            for line in &mut lines {
                let sql = "SELECT $1::text::jsonb::text";
                *line = site.client.query_one(sql, &[line]).await.unwrap().get(0);
            }
        }
        conformance::source(&site.source, &population(&lines))
            .await
            .unwrap();
    }
}

/// C23: a resource listed for two patients leaves once, also when they are in different slices, and by
/// the lowest of the cohort.
#[tokio::test]
async fn what_is_listed_for_several_patients_leaves_once() {
    let site = Site::text().await;
    for id in ["a", "b", "c"] {
        site.add(&resource(&format!("Patient/{id}"), &[])).await;
    }
    let performed = |id: &str, performer: &str| {
        let references = [("subject", "Patient/b"), ("performer", performer)];
        resource(&format!("Observation/{id}"), &references)
    };
    for line in [
        performed("ab", "Patient/a"),
        performed("bc", "Patient/c"),
        performed("b", "Patient/b"),
        performed("b-nobody", "Patient/0"),
        // Twice the same row, as a join may give it.
        resource("Observation/c", &[("subject", "Patient/c")]),
        resource("Observation/c", &[("subject", "Patient/c")]),
        group(
            "bc",
            &[
                r#"{"entity":{"reference":"Patient/c"}}"#,
                r#"{"entity":{"reference":"Patient/b"}}"#,
                r#"{"entity":{"reference":"Patient/0"}}"#,
            ],
        ),
    ] {
        site.add(&line).await;
    }
    let all = [
        "Observation/ab",
        "Observation/b",
        "Observation/b-nobody",
        "Observation/bc",
        "Observation/c",
    ];
    let mut scope = site.scope(Level::System).await;
    scope.types = exported::types(&["Observation"]);
    assert_eq!(site.ids(&scope).await, all);
    for level in [Level::Patient, Level::Group("bc".to_owned())] {
        scope.level = level;
        // A slice a resource.
        let chunks = exported::plan(&site.source, &scope, 1, 2).await;
        assert!(chunks.len() > 3);
        let mut found = Vec::new();
        for chunk in chunks {
            let blocks = exported::blocks(&site.source, &scope, &chunk.slice).await;
            let lines = exported::lines(&chunk.slice, &blocks.unwrap());
            found.extend(lines.iter().map(|(_, line)| exported::id(line)));
        }
        found.sort_unstable();
        assert_eq!(found, all);
    }
    scope.patients = Some(vec!["c".to_owned()]);
    assert_eq!(site.ids(&scope).await, ["Observation/bc", "Observation/c"]);
    scope.level = Level::Patient;
    scope.patients = Some(vec!["c".to_owned(), "0".to_owned()]);
    let refused = site.source.check(&scope).await;
    assert!(matches!(refused, Err(PopulationError::UnknownPatients(ids)) if ids == ["0"]));
}

/// More members than a statement carries; what is shared by the first and the last leaves once.
#[tokio::test]
async fn cohorts_may_be_larger_than_a_statement() {
    let site = Site::text().await;
    site.client
        .batch_execute(
            "INSERT INTO site SELECT 'Patient', p, NULL, NULL, \
                 format('{\"resourceType\":\"Patient\",\"id\":\"%s\"}', p), NULL \
                 FROM (SELECT 'p' || n FROM generate_series(10001, 40000) n) x (p); \
             INSERT INTO site SELECT 'Observation', 'o' || n, p, NULL, \
                 format('{\"resourceType\":\"Observation\",\"id\":\"o%s\"}', n), NULL \
                 FROM generate_series(1, 500) n, LATERAL (VALUES ('p' || 10000 + n), ('p' || 40000 - n), \
                     ('a' || n)) x (p); \
             INSERT INTO site SELECT 'Group', 'all', NULL, NULL, '{\"resourceType\":\"Group\",\"id\":\"all\",' \
                 || '\"member\":[' || string_agg(format('{\"entity\":{\"reference\":\"Patient/%s\"}}', id), ',') \
                 || ']}', NULL FROM site WHERE kind = 'Patient'; \
             CREATE INDEX ON site (kind, patient COLLATE \"C\", id COLLATE \"C\"); \
             CREATE INDEX ON site (id); ANALYZE site",
        )
        .await
        .unwrap();
    for level in [Level::Group("all".to_owned()), Level::Patient] {
        let mut scope = site.scope(level).await;
        scope.types = exported::types(&["Observation", "Patient"]);
        let lines = site.lines(&scope).await;
        let patients = lines.iter().filter(|line| line.contains("Patient"));
        assert_eq!((lines.len(), patients.count()), (30_500, 30_000));
        let mut distinct = lines.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), lines.len(), "each once");
        scope.types = exported::types(&["Observation"]);
        // Cut finely, so that the two patients are in different slices.
        let found = exported::export(&site.source, &scope, 5000, Promise::Estimate).await;
        assert_eq!(found.len(), 500);
    }
    // It is longer than a search gives.
    let query = GroupQuery {
        limit: 1,
        ..GroupQuery::default()
    };
    let page = site.source.groups(&query).await.unwrap();
    let text = std::str::from_utf8(&page.groups[0]).unwrap();
    assert!(
        text.contains("SUBSETTED") && !text.contains("member"),
        "{text}"
    );
}

/// Members by their periods, Groups within Groups, and what leads nowhere is told.
#[tokio::test]
async fn members_are_what_bodies_of_groups_say() {
    let site = Site::text().await;
    let member = |who: &str, more: &str| format!(r#"{{"entity":{{"reference":"{who}"}}{more}}}"#);
    let members = [
        member("Patient/past", r#","period":{"end":"2020"}"#),
        member("Patient/now", r#","period":{"start":"2020","end":"2999"}"#),
        member("Patient/off", r#","inactive":true"#),
        member("Patient/gone", ""),
        member("Group/inner", ""),
        member("Group/sleeping", ""),
        member("Group/lost", ""),
        member("Practitioner/p", ""),
    ];
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let back = member("Group/outer", "");
    let sleeping = group("sleeping", &[&member("Patient/off", "")]);
    for line in [
        group("outer", &members),
        group("inner", &[&member("Patient/inner", ""), &back]),
        sleeping.replace("\"id\"", "\"active\":false,\"id\""),
        resource("Patient/past", &[]),
        resource("Patient/now", &[]),
        resource("Patient/off", &[]),
        resource("Patient/inner", &[]),
        resource("Observation/now", &[("subject", "Patient/now")]),
        resource("Observation/gone", &[("subject", "Patient/gone")]),
    ] {
        site.add(&line).await;
    }
    let scope = site.scope(Level::Group("outer".to_owned())).await;
    assert!(site.source.check(&scope).await.is_ok());
    let expected = ["Observation/now", "Patient/inner", "Patient/now"];
    assert_eq!(site.ids(&scope).await, expected);
    let told = site.remarks(&scope).await.join("\n");
    for part in [
        "only newest",
        ": 1 that are Patients",
        ": 1 that are Groups",
        ": 1 that are neither",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let asleep = site.scope(Level::Group("sleeping".to_owned())).await;
    let refused = site.source.check(&asleep).await;
    assert!(matches!(refused, Err(PopulationError::UnknownGroup)));
    let plan = site.source.plan(&asleep, 1, 1, None).await;
    assert!(plan.unwrap_err().action.contains("not active"));
}

#[tokio::test]
async fn groups_are_found_by_name_and_identifier() {
    let site = Site::text().await;
    for (id, more) in [
        (
            "one",
            r#""name":"Asthma A","identifier":[{"system":"s","value":"1"}]"#,
        ),
        ("two", r#""name":"asthma b","identifier":[{"value":"1"}]"#),
        ("three", r#""name":"Other""#),
    ] {
        let line = format!(r#"{{"resourceType":"Group","id":"{id}",{more}}}"#);
        site.add(&line).await;
    }
    site.row("Group/broken", Row::default(), "{\"member\":3}")
        .await;
    let find = async |query: GroupQuery| {
        let page = site.source.groups(&query).await.unwrap();
        let ids = page.groups.iter();
        let ids = ids.map(|group| exported::id(std::str::from_utf8(group).unwrap()));
        (ids.collect::<Vec<_>>().join(" "), page.total)
    };
    let query = |names: &[&str], identifiers: &[&str]| GroupQuery {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        identifiers: identifiers.iter().map(|name| (*name).to_owned()).collect(),
        limit: 10,
        ..GroupQuery::default()
    };
    let found = find(query(&["ASTHMA"], &[])).await;
    assert_eq!(found, ("Group/one Group/two".to_owned(), 2));
    let found = find(query(&[], &["s|1"])).await;
    assert_eq!(found, ("Group/one".to_owned(), 1));
    let found = find(query(&[], &["|1"])).await;
    assert_eq!(found, ("Group/two".to_owned(), 1));
    let mut second = query(&[], &[]);
    (second.offset, second.limit) = (1, 1);
    assert_eq!(find(second).await, ("Group/three".to_owned(), 3));
    let mut none = query(&[], &[]);
    none.ids = vec!["one') OR TRUE --".to_owned()];
    assert_eq!(find(none).await.1, 0);
}

/// R-156, R-158, T-032: what is marked deleted is told within the scope, and is not in the output too.
#[tokio::test]
async fn deletions_are_told_by_the_same_scope() {
    let site = Site::text().await;
    let (before, after) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    for line in [
        resource("Patient/a", &[]),
        resource("Patient/b", &[]),
        resource("Observation/back", &[("subject", "Patient/b")]),
        group("g", &[r#"{"entity":{"reference":"Patient/a"}}"#]),
    ] {
        site.add(&line).await;
    }
    for (name, patient, updated) in [
        ("Observation/a1", Some("a"), Some(after)),
        // Of two patients, told once.
        ("Observation/ab", Some("b"), Some(after)),
        ("Observation/ab", Some("a"), Some(after)),
        ("Observation/b1", Some("b"), Some(after)),
        ("Observation/old", Some("a"), Some(before)),
        ("Observation/undated", Some("a"), None),
        ("Observation/back", Some("a"), Some(after)),
        ("Observation/lost", None, Some(after)),
        ("Organization/o", None, Some(after)),
        ("Patient/c", None, Some(after)),
    ] {
        let row = Row {
            patient,
            updated,
            deleted: true,
        };
        site.row(name, row, "").await;
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let everyones = [
        "Observation/a1",
        "Observation/ab",
        "Observation/b1",
        "Organization/o",
        "Patient/c",
    ];
    let mut all = everyones.to_vec();
    all.push("Observation/lost");
    let expected = Deletions {
        since: at(before),
        types: exported::types(&["Observation", "Organization", "Patient"]),
        system: names(&all),
        patients: names(&everyones),
        group: (
            "g".to_owned(),
            names(&["Observation/a1", "Observation/ab", "Organization/o"]),
        ),
    };
    conformance::deletions(&site.source, &expected)
        .await
        .unwrap();
    let scope = site.scope(Level::System).await;
    let expected = ["Group/g", "Observation/back", "Patient/a", "Patient/b"];
    assert_eq!(site.ids(&scope).await, expected, "deleted is not output");
}
