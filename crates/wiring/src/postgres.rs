//! A PostgreSQL database as a source, and what fills it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluice_local::ndjson::Catalog;
use sluice_runtime::{ColumnsSection, TenantSection};
use sluice_source_postgres::{
    Applied, Input, LoadProgress, LoadReport, MappedColumns, MappedSource, Mapping,
    PostgresOptions, PostgresSource, Writer, load, migrate,
};

use crate::{Figures, OpenSource};

/// Opens a tenant's database.
pub(crate) async fn source(section: &TenantSection) -> anyhow::Result<OpenSource> {
    let settings = &section.postgres;
    let number = |number: std::num::NonZeroU32| usize::try_from(number.get()).unwrap_or(1);
    let password = settings.password.reveal();
    let options = PostgresOptions {
        password: (!password.is_empty()).then(|| password.to_owned()),
        authorities: settings.ca_file.clone(),
        identity: settings.certificate.clone().zip(settings.key.clone()),
        connections: number(settings.connections),
        reads: number(settings.reads),
        statement_timeout: Duration::from_secs(settings.statement_seconds.get().into()),
        read_timeout: Duration::from_mins(settings.read_minutes.get().into()),
        ..PostgresOptions::new(&section.source)
    };
    if let Some(relation) = &settings.relation {
        let mapping = mapping(relation, &settings.columns);
        let source = MappedSource::connect(&options, &mapping).await?;
        let asked = source.clone();
        // What a view holds is not counted: that would read all of it.
        return Ok(OpenSource {
            source: Arc::new(source),
            catalog: Catalog::default(),
            figures: Some(Figures::Pool(Arc::new(move || asked.pool()))),
        });
    }
    let source = PostgresSource::connect(&options).await?;
    let held = source.holds().await?;
    let asked = source.clone();
    Ok(OpenSource {
        source: Arc::new(source),
        catalog: Catalog {
            resources: held.resources,
            bytes: held.bytes,
            ..Catalog::default()
        },
        figures: Some(Figures::Pool(Arc::new(move || asked.pool()))),
    })
}

fn mapping(relation: &str, columns: &ColumnsSection) -> Mapping {
    Mapping {
        relation: relation.to_owned(),
        columns: MappedColumns {
            kind: columns.kind.clone(),
            id: columns.id.clone(),
            patient: columns.patient.clone(),
            last_updated: columns.last_updated.clone(),
            body: columns.body.clone(),
            deleted: columns.deleted.clone(),
        },
    }
}

/// A database to be made and filled.
#[derive(Clone, Default)]
pub struct Database {
    /// `postgres://…`.
    pub address: String,
    /// The password, unless the address has it.
    pub password: Option<String>,
    /// PEM of the authorities that sign the server's certificate.
    pub authorities: Option<PathBuf>,
    /// PEM of our certificate chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Database {
    fn options(&self, connections: usize) -> PostgresOptions {
        PostgresOptions {
            password: self.password.clone(),
            authorities: self.authorities.clone(),
            identity: self.identity.clone(),
            connections,
            ..PostgresOptions::new(&self.address)
        }
    }

    /// Brings its tables up to date, and says what was done.
    pub async fn migrate(&self) -> anyhow::Result<Vec<Applied>> {
        let applied = migrate(&self.options(1)).await;
        applied.map_err(|error| anyhow::anyhow!("{}", error.chain()))
    }

    /// Loads files with so many writers at once.
    pub async fn load(
        &self,
        inputs: &[Input],
        (writers, backdate): (usize, bool),
        listener: impl Fn(LoadProgress) + Send + Sync + 'static,
    ) -> anyhow::Result<LoadReport> {
        // Each writer numbers what is named on one connection while another's transaction is open.
        let options = self.options(writers.saturating_mul(2).max(2));
        let writer = Writer::connect(&options, backdate).await;
        let writer = writer.map_err(|error| anyhow::anyhow!("{}", error.chain()))?;
        Ok(load(&writer, inputs, writers, listener).await?)
    }
}
