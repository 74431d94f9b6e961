//! What was deleted between `_since` and T, by the same scope (R-156, T-032): ids of versions that ended
//! and were not followed by another.

use futures::{StreamExt, pin_mut};
use sluice_fhir::{Level, ResourceType};
use sluice_ports::DeletedBundles;

use crate::failure::failed;
use crate::pool::Purpose;
use crate::provenance;
use crate::range::{FIRST_PATIENT, FOLLOWS, NOBODY, ids, numbers, rows_of};
use crate::read::{Reader, Stop};

impl Reader<'_> {
    /// Sends Bundles of what was deleted of some types.
    pub(crate) async fn deleted(&mut self, types: &[ResourceType]) -> Result<(), Stop> {
        const ACTION: &str = "reading what was deleted";
        let Some(sql) = self.deleted_sql(types) else {
            return Ok(());
        };
        let (session, rows) = self.connections.rows((Purpose::Read, ACTION), &sql).await?;
        let read = async {
            pin_mut!(rows);
            let mut bundles = DeletedBundles::default();
            while let Some(row) = rows.next().await {
                let row = row.map_err(failed(ACTION))?;
                let (code, id): (i16, &str) = (row.get(0), row.get(1));
                if let Some(kind) = self.kinds.kind(code) {
                    bundles.push(kind, id);
                }
                if let Some(block) = bundles.take_block() {
                    self.outlet.block(block).await?;
                }
            }
            if let Some(block) = bundles.finish() {
                self.outlet.block(block).await?;
            }
            Ok::<(), Stop>(())
        };
        session.done_after(read).await
    }

    fn deleted_sql(&self, types: &[ResourceType]) -> Option<String> {
        let (view, kinds) = (&self.view, self.kinds);
        let ended = view.ended("r")?;
        let lives = view.lives("x");
        let codes = numbers(&kinds.codes(types), "smallint");
        let scope = self.lost_scope();
        Some(format!(
            "SELECT DISTINCT r.kind, r.id FROM sluice.resource r WHERE r.kind = ANY({codes}) \
             AND {ended} AND NOT EXISTS (SELECT 1 FROM sluice.resource x WHERE x.kind = r.kind \
             AND x.kind = ANY({codes}) AND x.id = r.id AND {lives}) AND ({scope}) ORDER BY r.kind, r.id"
        ))
    }

    /// That a version that ended was the cohort's. Its patient may have ended with it, so whether the
    /// patient exists does not count here.
    fn lost_scope(&self) -> String {
        let Some(named) = self.named() else {
            return "TRUE".to_owned();
        };
        let is_in = |who: &str| match &named {
            None => format!("{who} >= {FIRST_PATIENT}"),
            Some(query) => format!("{who} IN ({query})"),
        };
        let owned = is_in("r.owner");
        let shared = is_in("o");
        let about = is_in("t.owner");
        // What is nobody's may have come along by way of others; to tell too much of it is safe, too
        // little is not (T-033).
        let came_along = match &named {
            None => "TRUE".to_owned(),
            Some(_) => format!(
                "EXISTS (SELECT 1 FROM sluice.name n WHERE n.id = r.id AND n.kind IN (0, r.kind) \
                 AND (EXISTS (SELECT 1 FROM sluice.onward o WHERE o.target = n.ordinal) \
                 OR EXISTS (SELECT 1 FROM sluice.link l WHERE l.target = n.ordinal AND {} AND {})))",
                self.view.known("l"),
                is_in("l.patient")
            ),
        };
        let up = provenance::up(self, "r");
        let of = rows_of("t", "up.kind", "up.id", "t.owner, t.others", "TRUE");
        format!(
            "{owned} OR EXISTS (SELECT 1 FROM unnest(r.others) o WHERE {shared}) \
             OR (r.owner = {NOBODY} AND {came_along}) \
             OR (r.owner = {FOLLOWS} AND EXISTS ({up} SELECT 1 FROM up, LATERAL ({of}) t \
                 WHERE {about} OR EXISTS (SELECT 1 FROM unnest(t.others) o WHERE {shared})))"
        )
    }

    /// Who is named by the scope, existing or not: no restriction, everyone, or a query.
    #[expect(
        clippy::option_option,
        reason = "the three are told apart where it is used"
    )]
    fn named(&self) -> Option<Option<String>> {
        let patients = self.scope.patients.as_ref().map(|patients| {
            format!(
                "SELECT n.ordinal FROM sluice.patient n WHERE n.id = ANY({})",
                ids(patients)
            )
        });
        match (&self.scope.level, patients) {
            (Level::System, None) => None,
            (Level::Patient, None) => Some(None),
            (Level::System | Level::Patient, patients) => Some(patients),
            (Level::Group(id), patients) => {
                let members =
                    crate::cohort::members(id, &self.view, self.kinds.code(ResourceType::GROUP));
                Some(Some(match patients {
                    None => members,
                    Some(patients) => format!("{patients} INTERSECT ({members})"),
                }))
            }
        }
    }
}
