//! The worked example of the documentation, with the SQL that is in it: a view over the tables of HAPI
//! FHIR JPA.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluice_fhir::{Level, ResourceType, compartment};
use sluice_ports::conformance::{self, Deletions};
use sluice_source_postgres::{MappedSource, Mapping, PostgresOptions};
use sluice_testkit::exported::{self, group, types};
use tokio_postgres::Client;

use super::{Site, at, quoted};
use crate::database::{connect, make};

/// The columns of HAPI's tables that matter here, as its migrations make them, and some that do not.
const TABLES: &str = "
    CREATE TABLE hfj_resource (res_id bigint NOT NULL PRIMARY KEY, partition_id integer,
        partition_date date, res_deleted_at timestamp(6), res_version varchar(7),
        has_tags boolean NOT NULL, res_published timestamp(6) NOT NULL, res_updated timestamp(6) NOT NULL,
        fhir_id varchar(64), hash_sha256 varchar(64), res_type varchar(40) NOT NULL,
        res_ver bigint NOT NULL);
    CREATE TABLE hfj_res_ver (pid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition_id integer,
        res_deleted_at timestamp(6), has_tags boolean NOT NULL, res_published timestamp(6) NOT NULL,
        res_updated timestamp(6) NOT NULL, res_encoding varchar(5) NOT NULL, request_id varchar(16),
        res_text oid, res_id bigint NOT NULL, res_text_vc text, res_type varchar(40) NOT NULL,
        res_ver bigint NOT NULL, source_uri varchar(768),
        CONSTRAINT idx_resver_id_ver UNIQUE (res_id, res_ver));
    CREATE TABLE hfj_res_link (pid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition_id integer,
        src_path varchar(500) NOT NULL, src_resource_id bigint NOT NULL,
        source_resource_type varchar(40) NOT NULL, target_resource_id bigint,
        target_resource_type varchar(40) NOT NULL, target_resource_url varchar(200),
        target_resource_version bigint, sp_updated timestamp(6));
    CREATE TABLE hfj_res_tag (pid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition_id integer,
        tag_id bigint, res_id bigint, res_type varchar(40) NOT NULL);
    CREATE TABLE hfj_tag_def (tag_id bigint NOT NULL PRIMARY KEY, tag_code varchar(200),
        tag_display varchar(200), tag_system varchar(200), tag_type integer NOT NULL,
        tag_user_selected boolean, tag_version varchar(30));";

/// The SQL of the documentation, in order.
fn documented() -> Vec<String> {
    let path = "../../docs/SOURCES-POSTGRES-MAPPED.md";
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```sql\n").skip(1);
    blocks
        .map(|block| block.split_once("```").unwrap().0.to_owned())
        .collect()
}

/// A HAPI server's database, with the view.
struct Hapi {
    site: Site,
}

impl Hapi {
    async fn new() -> Self {
        let uri = make().await;
        let client = connect(&uri).await;
        client.batch_execute(TABLES).await.unwrap();
        for sql in documented() {
            client.batch_execute(&sql).await.unwrap();
        }
        let mapping = Mapping::new("fhir.resources");
        let options = PostgresOptions::new(uri);
        let source = MappedSource::connect(&options, &mapping).await.unwrap();
        let body = "jsonb";
        Self {
            site: Site {
                client,
                source,
                body,
            },
        }
    }

    fn client(&self) -> &Client {
        &self.site.client
    }

    /// Adds the newest version of a resource, with an older one behind it.
    async fn put(&self, number: i64, name: &str, body: &Value) {
        let (kind, id) = name.split_once('/').unwrap();
        let body = quoted(&body.to_string());
        let sql = format!(
            "INSERT INTO hfj_resource VALUES ({number}, NULL, NULL, NULL, 'R4', false, \
                 '2026-01-01', '2026-01-02 03:04:05.678', '{id}', NULL, '{kind}', 2); \
             INSERT INTO hfj_res_ver (has_tags, res_published, res_updated, res_encoding, res_id, \
                 res_text_vc, res_type, res_ver) VALUES \
                 (false, '2026-01-01', '2026-01-01', 'JSON', {number}, '{{\"old\":true}}', '{kind}', 1), \
                 (false, '2026-01-01', '2026-01-02', 'JSON', {number}, {body}, '{kind}', 2)"
        );
        self.client().batch_execute(&sql).await.unwrap();
    }

    /// Adds a row to the index of references.
    async fn link(&self, path: &str, from: i64, to: i64) {
        let (kind, _) = path.split_once('.').unwrap();
        let sql = format!(
            "INSERT INTO hfj_res_link (src_path, src_resource_id, source_resource_type, \
             target_resource_id, target_resource_type) SELECT {}, {from}, '{kind}', {to}, res_type \
             FROM hfj_resource WHERE res_id = {to}",
            quoted(path)
        );
        self.client().batch_execute(&sql).await.unwrap();
    }

    async fn fill(&self) {
        let plain = |kind: &str| json!({ "resourceType": kind });
        self.put(1, "Patient/a", &plain("Patient")).await;
        self.put(2, "Patient/2", &plain("Patient")).await;
        let value = json!({ "resourceType": "Observation", "valueQuantity": { "value": 1.5 } });
        self.put(3, "Observation/o", &value).await;
        self.put(4, "ServiceRequest/4", &plain("ServiceRequest"))
            .await;
        self.put(5, "Practitioner/5", &plain("Practitioner")).await;
        self.put(6, "Observation/gone", &plain("Observation")).await;
        self.put(7, "Condition/blob", &plain("Condition")).await;
        let members = group("g", &[r#"{"entity":{"reference":"Patient/2"}}"#]);
        let members: Value = serde_json::from_str(&members).unwrap();
        self.put(8, "Group/g", &members).await;
        self.put(9, "Patient/gone", &plain("Patient")).await;
        for (path, from, to) in [
            ("Observation.subject", 3, 1),
            ("Observation.subject.where(resolve() is Patient)", 3, 1),
            ("Observation.performer", 3, 2),
            ("ServiceRequest.subject", 4, 1),
            // In nobody's compartment by this.
            ("ServiceRequest.requester", 4, 2),
            ("Condition.subject", 7, 2),
            ("Patient.link.other", 1, 2),
            ("Group.member.entity", 8, 2),
        ] {
            self.link(path, from, to).await;
        }
        let sql = "INSERT INTO hfj_tag_def VALUES (1, 'http://example.org/profile', NULL, \
                'https://github.com/hapifhir/hapi-fhir/ns/jpa/profile', 1, NULL, NULL), \
                (2, 'vip', 'VIP', 'urn:tags', 0, false, NULL), (3, 'R', NULL, 'urn:labels', 2, NULL, NULL); \
            INSERT INTO hfj_res_tag (tag_id, res_id, res_type) VALUES (1, 1, 'Patient'), \
                (2, 1, 'Patient'), (3, 1, 'Patient'); \
            UPDATE hfj_res_ver SET source_uri = 'urn:feed#1' WHERE res_id = 1; \
            UPDATE hfj_resource SET res_deleted_at = '2026-02-01', res_updated = '2026-02-01', res_ver = 3 \
                WHERE res_id IN (6, 9); \
            INSERT INTO hfj_res_ver (has_tags, res_published, res_updated, res_deleted_at, res_encoding, \
                res_id, res_type, res_ver) SELECT false, res_published, res_updated, res_deleted_at, 'DEL', \
                res_id, res_type, 3 FROM hfj_resource WHERE res_deleted_at IS NOT NULL; \
            UPDATE hfj_res_ver SET res_text_vc = NULL, res_encoding = 'JSONC', \
                res_text = lo_from_bytea(0, 'x') WHERE res_id = 7";
        self.client().batch_execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn hapis_tables_are_exported_through_the_documented_view() {
    let hapi = Hapi::new().await;
    hapi.fill().await;
    let mut scope = hapi.site.scope(Level::Patient).await;
    let lines = hapi.site.lines(&scope).await;
    let ids: BTreeSet<String> = lines.iter().map(|line| exported::id(line)).collect();
    assert_eq!(ids.len(), lines.len(), "each once");
    let expected = [
        "Observation/o",
        "Patient/2",
        "Patient/a",
        "Practitioner/5",
        "ServiceRequest/4",
    ];
    assert!(ids.iter().eq(expected), "{ids:?}");
    let found = |name: &str| -> Value {
        let line = lines.iter().find(|line| exported::id(line) == name);
        serde_json::from_str(line.unwrap()).unwrap()
    };
    let updated = "2026-01-02T03:04:05.678Z";
    let meta = json!({
        "versionId": "2", "lastUpdated": updated, "source": "urn:feed#1",
        "profile": ["http://example.org/profile"],
        "tag": [{ "system": "urn:tags", "code": "vip", "display": "VIP" }],
        "security": [{ "system": "urn:labels", "code": "R" }],
    });
    let patient = json!({ "resourceType": "Patient", "id": "a", "meta": meta });
    assert_eq!(found("Patient/a"), patient);
    let meta = json!({ "versionId": "2", "lastUpdated": updated });
    let value = json!({ "value": 1.5 });
    let observation =
        json!({ "resourceType": "Observation", "id": "o", "meta": meta, "valueQuantity": value });
    assert_eq!(found("Observation/o"), observation);
    let told = hapi.site.remarks(&scope).await.join("\n");
    assert!(told.contains("no body: 1"), "{told}");
    scope.level = Level::Group("g".to_owned());
    let lines = hapi.site.lines(&scope).await;
    let ids: BTreeSet<String> = lines.iter().map(|line| exported::id(line)).collect();
    assert!(
        ids.iter()
            .eq(["Observation/o", "Patient/2", "Practitioner/5"])
    );
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected = Deletions {
        since: at("2026-01-15T00:00:00Z"),
        types: types(&["Observation", "Patient"]),
        system: names(&["Observation/gone", "Patient/gone"]),
        patients: names(&["Patient/gone"]),
        group: ("g".to_owned(), names(&[])),
    };
    conformance::deletions(&hapi.site.source, &expected)
        .await
        .unwrap();
}

/// The paths of the documentation are those of the compartment, but for Groups, which the view leaves to
/// their bodies.
#[tokio::test]
async fn the_documented_paths_are_those_of_the_compartment() {
    let hapi = Hapi::new().await;
    let sql = "SELECT path FROM fhir.compartment";
    let rows = hapi.client().query(sql, &[]).await.unwrap();
    let documented: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let paths = ResourceType::all()
        .filter(|kind| *kind != ResourceType::GROUP)
        .flat_map(|kind| {
            let paths = compartment::patient_paths(kind).iter();
            paths.map(move |path| format!("{kind}.{path}"))
        });
    assert_eq!(documented, paths.collect());
}
