//! A database of one's own on the shared server.

use std::sync::atomic::{AtomicU32, Ordering};

use sluice_fhir::{Instant, Level, ResourceType};
use sluice_model::Scope;
use sluice_ports::Source;
use sluice_source_postgres::{Batch, PostgresOptions, PostgresSource, Writer, migrate};
use sluice_testkit::exported::{self, Promise};
use tokio_postgres::{Client, NoTls};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An empty database with the tables.
pub(crate) struct Database {
    pub(crate) options: PostgresOptions,
    pub(crate) writer: Writer,
    pub(crate) source: PostgresSource,
}

impl Database {
    pub(crate) async fn new() -> Self {
        Self::at(&make().await, false).await
    }

    /// In which resources came when they say they changed.
    pub(crate) async fn backdated() -> Self {
        Self::at(&make().await, true).await
    }

    pub(crate) async fn at(uri: &str, backdate: bool) -> Self {
        let mut options = PostgresOptions::new(uri);
        options.connections = 20;
        migrate(&options).await.unwrap();
        Self {
            writer: Writer::connect(&options, backdate).await.unwrap(),
            source: PostgresSource::connect(&options).await.unwrap(),
            options,
        }
    }

    pub(crate) async fn write(&self, lines: &[&str]) {
        let batch = Batch::of_lines(lines).unwrap();
        self.writer.write(batch).await.unwrap();
    }

    pub(crate) async fn delete(&self, names: &[&str]) {
        let mut batch = Batch::default();
        for name in names {
            let (kind, id) = name.split_once('/').unwrap();
            batch = batch.deleting(kind.parse().unwrap(), id);
        }
        self.writer.write(batch).await.unwrap();
    }

    pub(crate) async fn scope(&self, level: Level) -> Scope {
        exported::scope(&self.source, level).await
    }

    /// `Type/id` of what an export of this scope holds, but for deletions.
    pub(crate) async fn ids(&self, scope: &Scope) -> Vec<String> {
        exported::ids(&self.source, scope, Promise::Estimate).await
    }

    /// A connection of one's own.
    pub(crate) async fn client(&self) -> Client {
        connect(&self.options.uri).await
    }
}

pub(crate) async fn connect(uri: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(uri, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Makes a database and gives its URI.
pub(crate) async fn make() -> String {
    let shared = sluice_testkit::stack("STACK_POSTGRES");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    let client = connect(&shared).await;
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (server, _) = shared.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// A Patient that says when it changed.
pub(crate) fn patient(id: &str, updated: Option<&str>) -> String {
    match updated {
        Some(at) => {
            format!(r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"{at}"}}}}"#)
        }
        None => format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#),
    }
}

/// All that changed since a time, and T of that export.
pub(crate) async fn since(database: &Database, since: Instant) -> (Vec<String>, Scope) {
    let mut scope = database.scope(Level::System).await;
    scope.since = Some(since);
    scope.types = ResourceType::all()
        .filter(|kind| kind.is_exportable())
        .collect();
    let found = database.ids(&scope).await;
    (found, scope)
}

/// T of an export that begins now.
pub(crate) async fn now(database: &Database) -> Instant {
    database.source.snapshot().await.unwrap().time
}
