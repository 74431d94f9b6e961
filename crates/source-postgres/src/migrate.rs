//! Brings the schema up to date, one numbered migration after the other.

use std::fmt::Write;

use sluice_fhir::ResourceType;
use sluice_ports::{PortError, PortKind};
use tokio_postgres::types::Type;

use crate::failure::failed;
use crate::pool::{Connections, Purpose, Session};

/// A step of the schema. A published one never changes.
struct Migration {
    number: i32,
    name: &'static str,
    sql: fn() -> String,
}

const MIGRATIONS: [Migration; 1] = [Migration {
    number: 1,
    name: "versions",
    sql: versions,
}];

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub number: i32,
    /// Its name.
    pub name: &'static str,
}

/// The number that this build needs.
pub(crate) fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |last| last.number)
}

/// Applies what is missing, each in a transaction of its own. Two at once wait for each other.
pub(crate) async fn migrate(connections: &Connections) -> Result<Vec<Applied>, PortError> {
    let action = "migrating the schema";
    let mut applied = Vec::new();
    for migration in &MIGRATIONS {
        let session = connections.begin(Purpose::Write).await?;
        // An arbitrary number that stands for this schema.
        let prepare = "SELECT pg_advisory_xact_lock(7164873391);
             CREATE SCHEMA IF NOT EXISTS sluice;
             CREATE TABLE IF NOT EXISTS sluice.migration (number integer PRIMARY KEY,
                 name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())";
        session
            .batch_execute(prepare)
            .await
            .map_err(failed(action))?;
        let known = session
            .query_typed(
                "SELECT 1 FROM sluice.migration WHERE number = $1",
                &[(&migration.number, Type::INT4)],
            )
            .await
            .map_err(failed(action))?;
        if known.is_empty() {
            let sql = (migration.sql)();
            session.batch_execute(&sql).await.map_err(failed(action))?;
            session
                .execute_typed(
                    "INSERT INTO sluice.migration (number, name) VALUES ($1, $2)",
                    &[
                        (&migration.number, Type::INT4),
                        (&migration.name, Type::TEXT),
                    ],
                )
                .await
                .map_err(failed(action))?;
            applied.push(Applied {
                number: migration.number,
                name: migration.name,
            });
        }
        session.done().await?;
    }
    Ok(applied)
}

/// Refuses a schema that is behind, or ahead.
pub(crate) async fn check(session: &Session) -> Result<(), PortError> {
    let refused = |why: String| Err(PortError::new(PortKind::Permanent, why));
    let found = session
        .query_typed_one("SELECT to_regclass('sluice.migration') IS NOT NULL", &[])
        .await
        .map_err(failed("looking for the schema"))?;
    if !found.get::<_, bool>(0) {
        return refused(
            "opening the database: it has no sluice schema; run sluice migrate".to_owned(),
        );
    }
    let row = session
        .query_typed_one("SELECT coalesce(max(number), 0) FROM sluice.migration", &[])
        .await
        .map_err(failed("reading the number of the schema"))?;
    let (found, needed): (i32, i32) = (row.get(0), newest());
    match found.cmp(&needed) {
        std::cmp::Ordering::Equal => transactions_are_known(session).await,
        std::cmp::Ordering::Less => refused(format!(
            "opening the database: its schema is number {found}, this build needs {needed}; \
             run sluice migrate"
        )),
        std::cmp::Ordering::Greater => refused(format!(
            "opening the database: its schema is number {found}, this build knows {needed} and \
             less; use a newer build"
        )),
    }
}

/// Refuses tables whose transactions are not of this cluster, as a restored dump has them: their
/// versions would seem to come from the future and be left out.
async fn transactions_are_known(session: &Session) -> Result<(), PortError> {
    let row = session
        .query_typed_one(
            "SELECT coalesce(bool_and(r.born < pg_snapshot_xmax(pg_current_snapshot())), TRUE) \
             FROM (SELECT born FROM sluice.resource ORDER BY born_at DESC LIMIT 1000) r",
            &[],
        )
        .await
        .map_err(failed("comparing transactions"))?;
    if row.get(0) {
        return Ok(());
    }
    Err(PortError::new(
        PortKind::Permanent,
        "opening the database: it was restored from a dump of another cluster, whose transaction \
         numbers mean nothing here; load the data anew, or move the whole cluster",
    ))
}

/// The first schema: the tables, and for each type its partition.
fn versions() -> String {
    let mut sql = include_str!("../migrations/0001_versions.sql").to_owned();
    for (at, kind) in ResourceType::all()
        .filter(|kind| kind.is_exportable())
        .enumerate()
    {
        let (code, name) = (at + 1, kind.name());
        let table = format!("sluice.resource_{}", name.to_lowercase());
        let _text_takes_all = write!(
            sql,
            "INSERT INTO sluice.kind VALUES ({code}, '{name}');
             CREATE TABLE {table} PARTITION OF sluice.resource FOR VALUES IN ({code})
                 WITH (toast_tuple_target = 8160);"
        );
    }
    sql.push_str(
        // In the order of a slice; that is how it is read.
        "CREATE INDEX resource_owner ON sluice.resource (owner, id, row);
         CREATE INDEX resource_id ON sluice.resource (id, kind, died_at);
         -- One version lives.
         CREATE UNIQUE INDEX resource_alive ON sluice.resource (id, kind)
             WHERE died_at = 9223372036854775807;
         -- What changed, for exports that ask for it.
         CREATE INDEX resource_born_at ON sluice.resource (born_at);
         CREATE INDEX resource_died_at ON sluice.resource (died_at)
             WHERE died_at < 9223372036854775807;
         -- Those that are read in pieces.
         CREATE INDEX resource_large ON sluice.resource (owner, id) WHERE size > 4194304;",
    );
    sql
}
