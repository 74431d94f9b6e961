//! A site's own view: the rules of sources that keep newest versions only, over every type of body.

use std::collections::BTreeMap;

use sluice_fhir::facts::{Reason, scan};
use sluice_fhir::{Instant, Level, ResourceType, compartment};
use sluice_model::Scope;
use sluice_ports::conformance::{self, Deletions, Population};
use sluice_ports::{GroupQuery, PopulationError, PortError, Source};
use sluice_source_postgres::{MappedSource, Mapping, MappingError, PostgresOptions};
use sluice_testkit::exported::{self, Promise, group, resource};
use sluice_testkit::small;
use tokio_postgres::Client;

use crate::database::{connect, make};

/// A site's table, and the view that the mapping names.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) source: MappedSource,
}

const VIEW: &str = "CREATE SCHEMA fhir; CREATE VIEW fhir.resources AS \
    SELECT kind AS type, id, patient, last_updated, body, deleted FROM site";

impl Site {
    /// Whose bodies and times are of these types.
    async fn new(body: &str, time: &str) -> Self {
        let uri = make().await;
        let client = connect(&uri).await;
        let table = format!(
            "CREATE TABLE site (kind varchar(40), id varchar(64), patient text, last_updated {time}, \
             body {body}, deleted boolean)"
        );
        client.batch_execute(&table).await.unwrap();
        client.batch_execute(VIEW).await.unwrap();
        let mapping = Mapping::new("fhir.resources");
        let source = MappedSource::connect(&PostgresOptions::new(uri), &mapping)
            .await
            .unwrap();
        Self { client, source }
    }

    async fn text() -> Self {
        Self::new("text", "timestamptz").await
    }

    /// Adds a row a patient, as the line's references say. Of a Patient it says nobody: the row does.
    async fn add(&self, line: &str) {
        let facts = scan(line.as_bytes()).unwrap();
        let mut patients: Vec<Option<&str>> = facts
            .patients
            .iter()
            .map(|target| Some(target.id.as_str()))
            .collect();
        if patients.is_empty() {
            patients.push(None);
        }
        for patient in patients {
            self.row(facts.kind.name(), &facts.id, patient, line).await;
        }
    }

    async fn row(&self, kind: &str, id: &str, patient: Option<&str>, body: &str) {
        self.client
            .execute(
                "INSERT INTO site (kind, id, patient, body) SELECT $1, $2, $3, \
                 (SELECT body FROM json_populate_record(NULL::site, '{}') UNION ALL SELECT NULL LIMIT 0)",
                &[&kind, &id, &patient],
            )
            .await
            .unwrap();
        let _ = body;
    }
}
