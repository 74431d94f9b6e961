//! What was deleted after `_since`, by the same scope (R-156, R-158, T-032): rows that say so, unless
//! another says that the resource is there.

use futures::{StreamExt, pin_mut};
use sluice_fhir::ResourceType;
use sluice_ports::DeletedBundles;
use tokio_postgres::types::Type;

use super::cohort::Cohort;
use super::read::Reader;
use super::relation::is_directory;
use crate::failure::failed;
use crate::pool::Purpose;
use crate::read::Stop;

impl Reader<'_> {
    /// Sends Bundles of what was deleted of some types.
    pub(super) async fn deleted(&mut self, types: &[ResourceType]) -> Result<(), Stop> {
        const ACTION: &str = "reading what was deleted";
        let Some(sql) = self.deleted_sql(types) else {
            return Ok(());
        };
        let session = self.connections.begin(Purpose::Read).await?;
        let rows = session
            .query_typed_raw(&sql, std::iter::empty::<(i64, Type)>())
            .await
            .map_err(failed(ACTION))?;
        pin_mut!(rows);
        let mut bundles = DeletedBundles::default();
        let mut last: Option<(ResourceType, String)> = None;
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed(ACTION))?;
            let (name, id, patient): (&str, &str, Option<&str>) =
                (row.get(0), row.get(1), row.get(2));
            let Ok(kind) = name.parse::<ResourceType>() else {
                continue;
            };
            // Once, though it lay in several compartments.
            let is_told = last.as_ref().is_some_and(|(k, i)| *k == kind && i == id);
            if is_told || !self.was_theirs(kind, patient) {
                continue;
            }
            bundles.push(kind, id);
            last = Some((kind, id.to_owned()));
            if let Some(block) = bundles.take_block() {
                self.outlet.block(block).await?;
            }
        }
        if let Some(block) = bundles.finish() {
            self.outlet.block(block).await?;
        }
        session.done().await?;
        Ok(())
    }

    /// Whether a row was the cohort's. Its patient may be deleted too, so whether there is such a
    /// Patient does not count here.
    fn was_theirs(&self, kind: ResourceType, patient: Option<&str>) -> bool {
        match (self.cohort, patient) {
            (Cohort::Whole, _) | (Cohort::Everyone, Some(_)) => true,
            (Cohort::Named(_), Some(patient)) => self.cohort.has(patient),
            (_, None) => is_directory(kind),
        }
    }

    /// Type, id and patient of what was deleted, sorted.
    fn deleted_sql(&self, types: &[ResourceType]) -> Option<String> {
        let relation = self.relation;
        let deleted = relation.deleted.as_ref()?;
        self.scope.since?;
        Some(format!(
            "SELECT v.{kind}::text COLLATE \"C\" AS k, {id} AS i, {patient} AS p FROM {from} \
             WHERE {is_any} AND v.{deleted} AND {bounds} AND v.{updated} <= {until} \
             AND NOT EXISTS (SELECT 1 FROM {other} \
             WHERE o.{kind} = v.{kind} AND o.{column} = v.{column} AND {lives}) ORDER BY k, i, p",
            kind = relation.kind,
            id = relation.id("v"),
            patient = relation.anyones("v"),
            from = relation.named("v"),
            is_any = relation.is_any("v", types),
            bounds = relation.bounds("v", self.scope),
            // What is deleted later may be in the output of a slice that was read before; the next
            // export tells of it (R-158).
            updated = relation.updated,
            until = relation.time(self.scope.snapshot.time.nanos().div_euclid(1000)),
            other = relation.named("o"),
            column = relation.id,
            lives = relation.lives("o"),
        ))
    }
}
