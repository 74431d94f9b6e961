//! A site's own view: the rules of sources that keep newest versions only.

mod hapi;
mod mapping;
mod population;
mod rows;
mod servers;

use sluice_fhir::facts::scan;
use sluice_fhir::{Instant, Level};
use sluice_model::Scope;
use sluice_ports::Source;
use sluice_source_postgres::{MappedSource, Mapping, PostgresOptions};
use sluice_testkit::exported::{self, Promise};
use tokio_postgres::Client;

use crate::database::{connect, make};

/// A site with a table, and the view that the mapping names.
struct Site {
    client: Client,
    source: MappedSource,
    body: &'static str,
}

/// A row of the view.
#[derive(Clone, Copy, Default)]
struct Row<'a> {
    patient: Option<&'a str>,
    updated: Option<&'a str>,
    deleted: bool,
}

impl Site {
    /// Whose bodies and times are of these types.
    async fn new(body: &'static str, time: &str) -> Self {
        Self::at(&make().await, body, time).await
    }

    async fn at(uri: &str, body: &'static str, time: &str) -> Self {
        let client = connect(uri).await;
        let sql = format!(
            "CREATE TABLE site (kind varchar(40), id varchar(64), patient text, changed {time}, \
             body {body}, gone boolean); \
             CREATE SCHEMA fhir; CREATE VIEW fhir.resources AS SELECT kind AS type, id, patient, \
             changed AS last_updated, body, gone AS deleted FROM site"
        );
        client.batch_execute(&sql).await.unwrap();
        let mapping = Mapping::new("fhir.resources");
        let options = PostgresOptions::new(uri);
        let source = MappedSource::connect(&options, &mapping).await.unwrap();
        Self {
            client,
            source,
            body,
        }
    }

    async fn text() -> Self {
        Self::new("text", "timestamptz").await
    }

    /// Adds a row for each patient that a line refers to as its own.
    async fn add(&self, line: &str) {
        let facts = scan(line.as_bytes()).unwrap();
        let name = format!("{}/{}", facts.kind, facts.id);
        let mut patients: Vec<_> = facts.patients.into_iter().map(|one| one.id).collect();
        patients.sort_unstable();
        patients.dedup();
        for patient in &patients {
            let row = Row {
                patient: Some(patient),
                ..Row::default()
            };
            self.row(&name, row, line).await;
        }
        if patients.is_empty() {
            self.row(&name, Row::default(), line).await;
        }
    }

    /// Adds a row; a deleted one has no body.
    async fn row(&self, name: &str, row: Row<'_>, body: &str) {
        let (kind, id) = name.split_once('/').unwrap();
        let value = match (row.deleted, self.body) {
            (true, _) => "NULL".to_owned(),
            (false, "bytea") => format!("convert_to({}, 'UTF8')", quoted(body)),
            (false, _) => quoted(body),
        };
        let or_null = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), quoted);
        let sql = format!(
            "INSERT INTO site VALUES ({}, {}, {}, {}, {value}, {})",
            quoted(kind),
            quoted(id),
            or_null(row.patient),
            or_null(row.updated),
            // Not deleted is said by both.
            if row.deleted { "true" } else { "NULL" },
        );
        self.client.batch_execute(&sql).await.unwrap();
    }

    async fn scope(&self, level: Level) -> Scope {
        exported::scope(&self.source, level).await
    }

    /// `Type/id` of what an export holds.
    async fn ids(&self, scope: &Scope) -> Vec<String> {
        exported::ids(&self.source, scope, Promise::Estimate).await
    }

    /// Lines of an export.
    async fn lines(&self, scope: &Scope) -> Vec<String> {
        let mut all = Vec::new();
        for chunk in exported::plan(&self.source, scope, 1 << 20, 8).await {
            let blocks = exported::blocks(&self.source, scope, &chunk.slice).await;
            let lines = exported::lines(&chunk.slice, &blocks.unwrap());
            all.extend(lines.into_iter().map(|(_, line)| line));
        }
        all.sort_unstable();
        all
    }

    async fn remarks(&self, scope: &Scope) -> Vec<String> {
        let remarks = self.source.remarks(scope).await.unwrap();
        remarks.into_iter().map(|issue| issue.text).collect()
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}
