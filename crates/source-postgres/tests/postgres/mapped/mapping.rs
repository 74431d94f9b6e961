//! A mapping that does not fit is refused, and says what is wrong.

use sluice_ports::PortKind;
use sluice_source_postgres::{MappedSource, Mapping, MappingError, PostgresOptions};

use crate::database::{connect, make};

const TABLES: &str = "CREATE SCHEMA fhir; \
    CREATE TABLE fhir.good (type text, id text, patient text, last_updated timestamp, body json, \
        \"Gone\" boolean, number int, at date, blob oid, deleted_at timestamptz); \
    CREATE TABLE fhir.odd (type text, id text, patient text, last_updated timestamp, body json, \
        deleted timestamptz); \
    CREATE VIEW fhir.\"Mixed\" AS SELECT * FROM fhir.good; CREATE SEQUENCE fhir.sequence";

/// Refuses a mapping, and gives the reason.
async fn refused(options: &PostgresOptions, mapping: &Mapping) -> String {
    let refused = MappedSource::connect(options, mapping).await;
    let error = refused.err().unwrap();
    let text = error.chain();
    assert!(text.starts_with("checking the mapped relation: "), "{text}");
    assert_eq!(error.kind, PortKind::Permanent);
    assert!(error.cause.unwrap().is::<MappingError>());
    text
}

#[tokio::test]
async fn what_is_wrong_with_a_relation_is_said() {
    let uri = make().await;
    connect(&uri).await.batch_execute(TABLES).await.unwrap();
    let options = PostgresOptions::new(uri);
    let good = Mapping::new("fhir.good");
    MappedSource::connect(&options, &good).await.unwrap();
    let mut mixed = Mapping::new("fhir.Mixed");
    mixed.columns.deleted = Some("Gone".to_owned());
    MappedSource::connect(&options, &mixed).await.unwrap();
    for (relation, reason) in [
        ("good", "\"good\" is not schema.view"),
        ("fhir.good; DROP TABLE x", "is not schema.view"),
        ("fhir.none", "no table or view fhir.none that this user"),
        ("fhir.mixed", "there is fhir.Mixed, and case counts"),
        ("fhir.sequence", "neither a table nor a view"),
        (
            "fhir.odd",
            "column deleted of fhir.odd is timestamp with time zone",
        ),
    ] {
        let text = refused(&options, &Mapping::new(relation)).await;
        assert!(text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_column_is_said() {
    let uri = make().await;
    connect(&uri).await.batch_execute(TABLES).await.unwrap();
    let options = PostgresOptions::new(uri);
    for (role, name, reason) in [
        (
            "type",
            "kind",
            "no column kind, which columns.type names; it has type, id,",
        ),
        (
            "id",
            "number",
            "number of fhir.good is integer; as columns.id it has to be text",
        ),
        (
            "patient",
            "body",
            "is json; as columns.patient it has to be text",
        ),
        ("last_updated", "at", "is date; as columns.last_updated"),
        (
            "body",
            "blob",
            "is oid; as columns.body it has to be text, json, jsonb or bytea",
        ),
        (
            "body",
            "body\" FROM x --",
            "columns.body \"body\\\" FROM x --\" is no name",
        ),
        ("deleted", "deleted_at", "it has to be boolean"),
        ("deleted", "gone", "no column gone"),
    ] {
        let mut mapping = Mapping::new("fhir.good");
        let columns = &mut mapping.columns;
        let name = name.to_owned();
        match role {
            "type" => columns.kind = name,
            "id" => columns.id = name,
            "patient" => columns.patient = name,
            "last_updated" => columns.last_updated = name,
            "body" => columns.body = name,
            _ => columns.deleted = Some(name),
        }
        let text = refused(&options, &mapping).await;
        assert!(text.contains(reason), "{text}");
    }
}

/// A view that may not be read, and one whose tables may not.
#[tokio::test]
async fn a_relation_that_may_not_be_read_is_refused() {
    let uri = make().await;
    let client = connect(&uri).await;
    client.batch_execute(TABLES).await.unwrap();
    let role = format!("reader_{}", std::process::id());
    let made =
        format!("CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA fhir TO {role}");
    client.batch_execute(&made).await.unwrap();
    let (_, server) = uri.split_once('@').unwrap();
    let options = PostgresOptions::new(format!("postgres://{role}:x@{server}"));
    let mapping = Mapping::new("fhir.good");
    let refused = MappedSource::connect(&options, &mapping).await;
    let text = refused.err().unwrap().chain();
    let granted = format!("GRANT SELECT ON fhir.good TO {role}");
    client.batch_execute(&granted).await.unwrap();
    let allowed = MappedSource::connect(&options, &mapping).await;
    let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    client.batch_execute(&gone).await.unwrap();
    assert!(text.contains("permission denied"), "{text}");
    allowed.unwrap();
}
