//! Whose data leave, and what comes along: the same rules, and the same suite, as for every source.

use futures::StreamExt;
use proptest::prelude::*;
use sluice_fhir::Level;
use sluice_ports::{GroupQuery, Source, conformance};
use sluice_source_postgres::{Batch, Writer};
use sluice_testkit::compartments::case;
use sluice_testkit::exported::{Promise, group, resource};
use sluice_testkit::small;

use crate::database::Database;

#[tokio::test]
async fn it_conforms() {
    let database = Database::new().await;
    let lines = small::lines();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    database.write(&lines).await;
    let population = small::population(Promise::Estimate);
    let suite = conformance::source(&database.source, &population);
    suite.await.unwrap();
}

/// Whoever looks for Groups is not given a million members that nobody asked for.
#[tokio::test]
async fn a_long_group_is_found_without_its_members_and_read_with_them() {
    let database = Database::new().await;
    let member = |number| format!(r#"{{"entity":{{"reference":"Patient/{number:08}"}}}}"#);
    let members: Vec<String> = (0..40_000).map(member).collect();
    let members = members.join(",");
    let line = format!(
        r#"{{"resourceType":"Group","id":"long","name":"Long","meta":{{"tag":[{{"code":"x"}}]}},"member":[{members}]}}"#
    );
    assert!(line.len() > 1 << 20);
    let short = group("short", &[r#"{"entity":{"reference":"Patient/a"}}"#]);
    database.write(&[&line, &short]).await;
    let query = GroupQuery {
        limit: 9,
        ..GroupQuery::default()
    };
    let page = database.source.groups(&query).await.unwrap();
    let found: Vec<serde_json::Value> = { page.groups.iter() }
        .map(|group| serde_json::from_slice(group).unwrap())
        .collect();
    assert_eq!((page.total, found.len()), (2, 2));
    assert_eq!(
        (&found[0]["id"], &found[0]["name"]),
        (&"long".into(), &"Long".into())
    );
    assert_eq!(found[0].get("member"), None);
    let tags = &found[0]["meta"]["tag"];
    assert_eq!(
        (&tags[0]["code"], &tags[1]["code"]),
        (&"x".into(), &"SUBSETTED".into())
    );
    assert!(found[1]["member"].is_array());
    let mut pieces = database.source.group("long").await.unwrap().unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        whole.extend_from_slice(&piece.unwrap());
    }
    assert!(whole == line.as_bytes());
}

/// Random populations, loaded in any order, for a Provenance may come before what it is about. One
/// database is emptied each time: making one takes longer than a case.
#[test]
fn every_export_is_what_the_model_takes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, client) = runtime.block_on(async {
        let database = Database::new().await;
        let client = database.client().await;
        (database, client)
    });
    let config = ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(case in case(), reversed in any::<bool>())| {
        runtime.block_on(async {
            client.batch_execute(EMPTY).await.unwrap();
            let writer = Writer::connect(&database.options, false).await.unwrap();
            let mut lots = case.lots().to_vec();
            if reversed {
                lots.reverse();
            }
            for lot in lots {
                let lines: Vec<&str> = lot.iter().map(String::as_str).collect();
                writer.write(Batch::of_lines(&lines).unwrap()).await.unwrap();
            }
            case.verify(&database.source, Promise::Estimate).await;
        });
    });
}

const EMPTY: &str = "DELETE FROM sluice.resource; DELETE FROM sluice.also; DELETE FROM sluice.name; \
    DELETE FROM sluice.patient; DELETE FROM sluice.link; DELETE FROM sluice.onward; \
    DELETE FROM sluice.about; DELETE FROM sluice.grouping; DELETE FROM sluice.identifier; \
    DELETE FROM sluice.member; DELETE FROM sluice.volume";

/// A member counts while its period holds T; Groups are members of Groups.
#[tokio::test]
async fn membership_has_its_times() {
    let database = Database::new().await;
    let member = |who: &str, period: &str| {
        format!(r#"{{"entity":{{"reference":"{who}"}},"period":{period}}}"#)
    };
    let outer = [
        member("Patient/past", r#"{"end":"2020"}"#),
        member("Patient/now", r#"{"start":"2020-01-01","end":"2999"}"#),
        member("Patient/gone", "{}"),
        member("Group/inner", "{}"),
        member("Group/lost", "{}"),
        member("Practitioner/p", "{}"),
    ];
    let outer: Vec<&str> = outer.iter().map(String::as_str).collect();
    let lines = [
        group("outer", &outer),
        group(
            "inner",
            &[&member("Patient/inner", "{}"), &member("Group/outer", "{}")],
        ),
        resource("Patient/past", &[]),
        resource("Patient/now", &[]),
        resource("Patient/inner", &[]),
        resource("Observation/gone", &[("subject", "Patient/gone")]),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    database.write(&lines).await;
    let scope = database.scope(Level::Group("outer".to_owned())).await;
    assert_eq!(database.ids(&scope).await, ["Patient/inner", "Patient/now"]);
    let remarks = sluice_ports::Source::remarks(&database.source, &scope).await;
    let told: Vec<String> = remarks
        .unwrap()
        .into_iter()
        .map(|issue| issue.text)
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
}
