//! How much there is: of each type in all, and where a type is cut. Resources that lie in several
//! compartments count in each; that is close enough.

use sluice_fhir::ResourceType;
use sluice_model::Tally;
use sluice_ports::PortError;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::cohort::Cohort;
use super::part::{Key, Part, Span};
use super::plan::{Cut, Cuts, Cutter};
use super::relation::is_directory;
use crate::failure::failed;
use crate::range::ids;

impl Cutter<'_> {
    /// How much there is of each type.
    pub(super) async fn totals(&self, types: &[ResourceType]) -> Result<Vec<Tally>, PortError> {
        let mut totals = vec![Tally::default(); types.len()];
        let directory: Vec<_> = types
            .iter()
            .copied()
            .filter(|kind| is_directory(*kind))
            .collect();
        let patient = self.relation.anyones("v");
        let nobodys = format!(
            "({patient} IS NULL AND {})",
            self.relation.is_any("v", &directory)
        );
        let mut conditions = Vec::new();
        match self.cohort {
            Cohort::Whole => conditions.push("TRUE".to_owned()),
            Cohort::Everyone => conditions.push(format!("({patient} IS NOT NULL OR {nobodys})")),
            Cohort::Named(_) => {
                conditions.push(nobodys);
                let (kind, id, patient) = (
                    &self.relation.kind,
                    &self.relation.id,
                    &self.relation.patient,
                );
                conditions.extend(self.cohort.pages().map(|page| {
                    let page = ids(page);
                    format!(
                        "((v.{kind} = 'Patient' AND v.{id} = ANY({page})) OR \
                         (v.{kind} <> 'Patient' AND v.{patient} = ANY({page})))"
                    )
                }));
            }
        }
        for condition in conditions {
            let sql = format!(
                "SELECT v.{kind}::text, count(*), coalesce(sum({size} + 1), 0)::bigint FROM {from} \
                 WHERE {is_any} AND {counts} AND {condition} GROUP BY 1",
                kind = self.relation.kind,
                size = self.relation.size("v"),
                from = self.relation.named("v"),
                is_any = self.relation.is_any("v", types),
                counts = self.relation.counts("v", self.scope),
            );
            for row in self.ask(&sql).await? {
                let at = types
                    .iter()
                    .position(|kind| kind.name() == row.get::<_, &str>(0));
                if let Some(total) = at.and_then(|at| totals.get_mut(at)) {
                    *total += tally(&row, 1);
                }
            }
        }
        Ok(totals)
    }

    /// Where the rows of a type go over a multiple of the target, from a key on: so many cuts, or all.
    /// Counted from the type's beginning, so that the cuts do not depend on how many are asked for.
    pub(super) async fn cuts(
        &self,
        kind: ResourceType,
        from: &Key,
        before: Tally,
        limit: usize,
    ) -> Result<Cuts, PortError> {
        let span = Span(from.clone(), None);
        let mut found = Cuts {
            end: before,
            ..Cuts::default()
        };
        let mut last = 0;
        for part in self.cohort.parts(kind, &span) {
            let room = limit - found.cuts.len();
            let crossing = self.crossing(found.end.bytes, last);
            let rows = self.cuts_sql(kind, part, &span, &crossing);
            let rows = self.ask(&format!("{rows} LIMIT {room}")).await?;
            for row in &rows {
                let place = tally(row, 2);
                let place = Tally {
                    resources: found.end.resources + place.resources,
                    bytes: found.end.bytes + place.bytes,
                };
                if row.get(5) {
                    found.cuts.push_back(Cut {
                        at: Key(row.get(0), row.get(1)),
                        before: place,
                    });
                }
            }
            if found.cuts.len() == limit {
                return Ok(found);
            }
            if let Some(row) = rows.last() {
                last = row.get(4);
                let place = tally(row, 2);
                found.end.resources += place.resources + 1;
                found.end.bytes += place.bytes + u64::try_from(last).unwrap_or(0);
            }
        }
        Ok(found)
    }

    /// That a row begins beyond a multiple of the target that the one before it does not, given what lies
    /// before the part and the size of the last row there.
    fn crossing(&self, before: u64, last: i32) -> String {
        let target = self.target.clamp(1, 1 << 60);
        format!(
            "({before} + x.at) / {target} > ({before} + x.at - coalesce(x.before, {last})) / {target}"
        )
    }

    /// The rows of a part before which a cut is, and its last row: key, rows and bytes before it in the
    /// part, its size, and whether a cut is there.
    fn cuts_sql(&self, kind: ResourceType, part: Part<'_>, span: &Span, crossing: &str) -> String {
        let relation = self.relation;
        format!(
            "SELECT y.p, y.i, y.n, y.at, y.size, y.is_cut FROM (SELECT x.*, {crossing} AS is_cut FROM ( \
             SELECT k.p, k.i, k.size, row_number() OVER w - 1 AS n, sum(k.size) OVER w - k.size AS at, \
             lag(k.size) OVER w AS before, lead(k.i) OVER w IS NULL AS is_last \
             FROM (SELECT {patient} AS p, {id} AS i, max({size}) + 1 AS size FROM {from} \
             WHERE {is_a} AND {holds} AND {counts} GROUP BY 1, 2) k \
             WINDOW w AS (ORDER BY k.p, k.i ROWS UNBOUNDED PRECEDING)) x) y \
             WHERE y.is_cut OR y.is_last ORDER BY y.p, y.i",
            patient = relation.patient("v", kind),
            id = relation.id("v"),
            size = relation.size("v"),
            from = relation.named("v"),
            is_a = relation.is_a("v", kind),
            holds = part.holds(relation, "v", kind, span),
            counts = relation.counts("v", self.scope),
        )
    }

    async fn ask(&self, sql: &str) -> Result<Vec<Row>, PortError> {
        let none: [(&(dyn ToSql + Sync), Type); 0] = [];
        let rows = self.session.query_typed(sql, &none).await;
        rows.map_err(failed("planning"))
    }
}

fn tally(row: &Row, at: usize) -> Tally {
    let number = |at| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    Tally {
        resources: number(at),
        bytes: number(at + 1),
    }
}
