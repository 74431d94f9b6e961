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

#[tokio::test]
async fn what_is_wrong_is_said() {
    let uri = make().await;
    connect(&uri).await.batch_execute(TABLES).await.unwrap();
    let options = PostgresOptions::new(uri);
    let good = Mapping::new("fhir.good");
    MappedSource::connect(&options, &good).await.unwrap();
    let with = |change: fn(&mut Mapping)| {
        let mut mapping = good.clone();
        change(&mut mapping);
        mapping
    };
    let mixed = with(|mapping| {
        mapping.relation = "fhir.Mixed".to_owned();
        mapping.columns.deleted = Some("Gone".to_owned());
    });
    MappedSource::connect(&options, &mixed).await.unwrap();
    for (mapping, reason) in [
        (Mapping::new("good"), "\"good\" is not schema.view"),
        (
            Mapping::new("fhir.good; DROP TABLE x"),
            "is not schema.view",
        ),
        (
            Mapping::new("fhir.none"),
            "no table or view fhir.none that this user sees",
        ),
        (
            Mapping::new("fhir.mixed"),
            "there is fhir.Mixed, and case counts",
        ),
        (Mapping::new("fhir.sequence"), "neither a table nor a view"),
        (
            Mapping::new("fhir.odd"),
            "column deleted of fhir.odd is timestamp with time zone",
        ),
        (
            with(|one| one.columns.kind = "kind".to_owned()),
            "no column kind, which columns.type names; it has type, id,",
        ),
        (
            with(|one| one.columns.id = "number".to_owned()),
            "number of fhir.good is integer; as columns.id it has to be text",
        ),
        (
            with(|one| one.columns.patient = "body".to_owned()),
            "is json; as columns.patient it has to be text",
        ),
        (
            with(|one| one.columns.last_updated = "at".to_owned()),
            "is date; as columns.last_updated",
        ),
        (
            with(|one| one.columns.body = "blob".to_owned()),
            "is oid; as columns.body it has to be text, json, jsonb or bytea",
        ),
        (
            with(|one| one.columns.body = "body\" FROM x --".to_owned()),
            "columns.body \"body\\\" FROM x --\" is no name",
        ),
        (
            with(|one| one.columns.deleted = Some("deleted_at".to_owned())),
            "it has to be boolean",
        ),
        (
            with(|one| one.columns.deleted = Some("gone".to_owned())),
            "no column gone",
        ),
    ] {
        let error = MappedSource::connect(&options, &mapping)
            .await
            .err()
            .unwrap();
        let text = error.chain();
        assert!(text.starts_with("checking the mapped relation: "), "{text}");
        assert!(text.contains(reason), "{text}");
        assert_eq!(error.kind, PortKind::Permanent);
        assert!(error.cause.unwrap().is::<MappingError>());
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
