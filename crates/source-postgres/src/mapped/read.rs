//! Reads a slice: type by type and part by part, each resource once, long bodies in pieces.

use futures::{StreamExt, pin_mut};
use sluice_fhir::ResourceType;
use sluice_model::{Scope, Slice};
use sluice_ports::{Outlet, PortError, spans_of};
use tokio_postgres::types::{ToSql, Type};

use super::cohort::Cohort;
use super::line::Line;
use super::part::{Part, Span};
use super::relation::{Body, Relation, is_directory};
use crate::failure::failed;
use crate::pool::{Connections, Purpose};
use crate::read::{LARGE, Stop};
use crate::rows::Rows;

/// What the reading of a slice needs.
pub(super) struct Reader<'a> {
    pub(super) connections: &'a Connections,
    pub(super) relation: &'a Relation,
    pub(super) scope: &'a Scope,
    pub(super) cohort: &'a Cohort,
    pub(super) outlet: Outlet,
}

impl Reader<'_> {
    /// Reads all of a slice.
    pub(super) async fn slice(&mut self, slice: &Slice) -> Result<(), Stop> {
        let mut spans = spans_of::<Span>(slice)?;
        if spans.len() > 1 {
            // Of many small types most are not there; to ask for each may be to go through all each time.
            let present = self.present(&slice.types).await?;
            spans.retain(|(kind, _)| present.contains(kind));
        }
        for (kind, span) in spans {
            self.outlet.turn_to(kind).await?;
            for part in self.cohort.parts(kind, &span) {
                let sql = self.sql(kind, part, &span);
                self.copy(&sql).await?;
            }
        }
        self.outlet.flush().await?;
        Ok(())
    }

    async fn present(&self, types: &[ResourceType]) -> Result<Vec<ResourceType>, PortError> {
        let session = self.connections.begin(Purpose::Read).await?;
        let sql = format!(
            "SELECT DISTINCT v.{}::text FROM {} WHERE {}",
            self.relation.kind,
            self.relation.named("v"),
            self.relation.is_any("v", types),
        );
        let none: [(&(dyn ToSql + Sync), Type); 0] = [];
        let rows = session.query_typed(&sql, &none).await;
        let rows = rows.map_err(failed("looking for types"))?;
        session.done().await?;
        let names = rows.iter().map(|row| row.get::<_, &str>(0).parse());
        Ok(names.filter_map(Result::ok).collect())
    }

    /// The bodies of a part, each with a number before it: twice the pieces that follow, and one more
    /// if it is no piece but the other patients by whom the resource might leave instead.
    fn sql(&self, kind: ResourceType, part: Part<'_>, span: &Span) -> String {
        let (cast, others) = match self.relation.body_type {
            Body::Bytes => ("", "convert_to(z.others, 'UTF8')"),
            Body::Text | Body::Json => ("::text", "z.others"),
        };
        // Rows are put in order before bodies are unpacked.
        format!(
            "SELECT (z.togo * 2 + (z.togo > z.last)::int)::bigint, \
             CASE WHEN z.togo > z.last THEN {others} WHEN z.last = 0 THEN z.body \
             ELSE substr(z.body, 1 + (z.last - z.togo) * {LARGE}, {LARGE}) END FROM ( \
             SELECT y.*, generate_series(y.last + (y.others IS NOT NULL)::int, 0, -1) AS togo FROM ( \
             SELECT w.*, (octet_length(w.body) - 1) / {LARGE} AS last FROM ( \
             SELECT x.others, x.body{cast} AS body FROM ({rows}) x OFFSET 0) w OFFSET 0) y) z",
            rows = self.rows(kind, part, span),
        )
    }

    /// One row a resource, in order.
    fn rows(&self, kind: ResourceType, part: Part<'_>, span: &Span) -> String {
        let relation = self.relation;
        let (once, others) = self.once(kind, part);
        format!(
            "SELECT DISTINCT ON (p, i) {patient} AS p, {id} AS i, v.{body} AS body, {others} AS others \
             FROM {from} WHERE {is_a} AND {holds} AND {counts} AND {once} \
             ORDER BY p, i, v.{updated} DESC NULLS LAST",
            patient = relation.patient("v", kind),
            id = relation.id("v"),
            body = relation.body,
            from = relation.named("v"),
            is_a = relation.is_a("v", kind),
            holds = part.holds(relation, "v", kind, span),
            counts = relation.counts("v", self.scope),
            updated = relation.updated,
        )
    }

    /// That a resource leaves by this row and no other: it has no row of a lower patient of the cohort.
    /// Where that takes knowing the cohort, the lower patients are given instead, a line each.
    fn once(&self, kind: ResourceType, part: Part<'_>) -> (String, String) {
        let none = "NULL::text".to_owned();
        if kind == ResourceType::PATIENT || matches!(part, Part::Nobodys) {
            return ("TRUE".to_owned(), none);
        }
        let relation = self.relation;
        let exists = relation.exists(&relation.patient_column("v", kind));
        let (column, mine) = (
            relation.patient_column("o", kind),
            relation.patient("v", kind),
        );
        let below = format!("{} < {mine}", relation.patient("o", kind));
        let theirs = relation.exists(&column);
        let lower = match part {
            Part::Nobodys | Part::Anyones => format!("{column} IS NULL OR {below}"),
            Part::Everyones if is_directory(kind) => {
                format!("{column} IS NULL OR ({below} AND {theirs})")
            }
            Part::Everyones => format!("{below} AND {theirs}"),
            Part::Theirs(_) if is_directory(kind) => format!("{column} IS NULL"),
            Part::Theirs(_) => "FALSE".to_owned(),
        };
        let same = format!(
            "FROM {} WHERE {} AND o.{id} = v.{id} AND {}",
            relation.named("o"),
            relation.is_a("o", kind),
            relation.counts("o", self.scope),
            id = relation.id,
        );
        let mut once = format!("NOT EXISTS (SELECT 1 {same} AND ({lower}))");
        let mut others = none;
        match part {
            Part::Nobodys | Part::Anyones => {}
            Part::Everyones => once = format!("{exists} AND {once}"),
            Part::Theirs(_) => {
                once = format!("{exists} AND {once}");
                others = format!(
                    "(SELECT string_agg({column}, chr(10)) {same} AND {below} AND {theirs} \
                     AND strpos({column}, chr(10)) = 0)"
                );
            }
        }
        (once, others)
    }

    /// Sends what a query gives.
    async fn copy(&mut self, query: &str) -> Result<(), Stop> {
        const ACTION: &str = "reading a slice";
        let session = self.connections.begin(Purpose::Read).await?;
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let stream = session.copy_out(&*copy).await.map_err(failed(ACTION))?;
        pin_mut!(stream);
        let (mut rows, mut line, mut is_anothers) = (Rows::new(), Line::default(), false);
        while let Some(piece) = stream.next().await {
            rows.feed(piece.map_err(failed(ACTION))?);
            while let Some(row) = rows.next()? {
                if row.owner & 1 == 1 {
                    is_anothers = self.cohort.has_any(&row.body);
                    continue;
                }
                let is_last = row.owner == 0;
                if !is_anothers {
                    line.piece(&row.body, is_last, &mut self.outlet).await?;
                }
                is_anothers &= !is_last;
            }
        }
        if !rows.is_over() {
            return Err(PortError::transient(ACTION, "the rows were cut off").into());
        }
        session.done().await?;
        Ok(())
    }
}
