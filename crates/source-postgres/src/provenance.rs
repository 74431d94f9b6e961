//! A Provenance is whose the resources are that it is about, and there may be another about that one
//! . That is asked when it is read: what it is about may come after it, and move.

use sluice_fhir::{ResourceType, compartment};
use sluice_ports::PortError;

use crate::cohort::Cohort;
use crate::kinds::Kinds;
use crate::pool::Purpose;
use crate::range::{FOLLOWS, Span, numbers, rows_of};
use crate::read::Reader;

/// The type of what is about somebody who cannot be told.
pub(crate) const SOMEBODYS: i16 = -1;

/// The ids of Provenances of the cohort within a span of their keys, in order.
pub(crate) async fn ids(reader: &Reader<'_>, span: &Span) -> Result<Vec<String>, PortError> {
    let ask = (Purpose::Read, "following provenance");
    let sql = format!("{} ORDER BY 1", sql(reader, span));
    let rows = reader.connections.ask(ask, &sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The same as a query.
pub(crate) fn sql(reader: &Reader<'_>, span: &Span) -> String {
    match &reader.cohort {
        Cohort::Bounded(query) => from_the_cohort(reader, query, span),
        _ => from_each(reader, &span.holds("p.owner", "p.id")),
    }
}

/// A query of one id, if that Provenance is somebody's.
pub(crate) fn one(reader: &Reader<'_>, id: &str) -> String {
    from_each(reader, &format!("p.id = {id}"))
}

/// The number of the type.
pub(crate) fn code(kinds: &Kinds) -> i16 {
    let provenance = "Provenance".parse::<ResourceType>();
    provenance.map_or(-1, |kind| kinds.code(kind))
}

/// That a Provenance, as a row, is about nothing that is somebody's or may be.
pub(crate) fn is_nobodys(reader: &Reader<'_>, row: &str) -> String {
    let (code, t) = (code(reader.kinds), reader.view.lives("t"));
    let somebodys = ResourceType::all().filter(|kind| compartment::contains(*kind));
    let mut somebodys = reader.kinds.codes(&somebodys.collect::<Vec<_>>());
    somebodys.push(SOMEBODYS);
    format!(
        "NOT EXISTS ({} SELECT 1 FROM up LEFT JOIN LATERAL ({}) t ON TRUE WHERE t.owner > 0 OR t.owner = -1 \
         OR (t.owner IS NULL AND up.kind <> {code} AND up.kind = ANY({})))",
        up(reader, row),
        rows_of(
            "t",
            "up.kind",
            "up.id",
            "t.owner",
            &format!("t.kind <> {code} AND {t}")
        ),
        numbers(&somebodys, "smallint")
    )
}

/// `WITH RECURSIVE up (kind, id)`: what a Provenance is about, and what those are about that are ones.
pub(crate) fn up(reader: &Reader<'_>, row: &str) -> String {
    let (code, q) = (code(reader.kinds), reader.view.lives("q"));
    format!(
        "WITH RECURSIVE up (kind, id) AS ( \
         SELECT a.kind, a.id FROM sluice.about a WHERE a.row = {row}.row \
         UNION SELECT b.kind, b.id FROM up JOIN sluice.resource q ON up.kind IN (0, {code}) \
         AND q.kind = {code} AND q.id = up.id AND {q} JOIN sluice.about b ON b.row = q.row)"
    )
}

/// Each Provenance under a condition, if what it is about is somebody's: for exports of everyone.
fn from_each(reader: &Reader<'_>, condition: &str) -> String {
    let (view, code) = (&reader.view, code(reader.kinds));
    let (p, t, up) = (view.lives("p"), view.lives("t"), up(reader, "p"));
    let holds = |who: &str| reader.cohort.holds(who, view, reader.kinds);
    format!(
        "SELECT p.id FROM sluice.resource p WHERE p.kind = {code} AND p.owner = {FOLLOWS} \
         AND {condition} AND {p} AND EXISTS ( \
         {up} SELECT 1 FROM up, LATERAL ({of}) t WHERE {owner} \
         OR EXISTS (SELECT 1 FROM unnest(t.others) o WHERE {other}))",
        of = rows_of("t", "up.kind", "up.id", "t.owner, t.others", &t),
        owner = holds("t.owner"),
        other = holds("o"),
    )
}

/// What is about the resources of the cohort: for the few of many.
fn from_the_cohort(reader: &Reader<'_>, query: &str, span: &Span) -> String {
    let (view, code) = (&reader.view, code(reader.kinds));
    let (p, t) = (view.lives("p"), view.lives("t"));
    let about = |from: &str, kind: &str, id: &str| {
        format!(
            "SELECT a.provenance FROM {from} JOIN sluice.about a ON a.id = {id} \
             AND a.kind IN (0, {kind}) JOIN sluice.resource p ON p.kind = {code} \
             AND p.owner = {FOLLOWS} AND p.id = a.provenance AND p.row = a.row AND {p}"
        )
    };
    format!(
        "WITH RECURSIVE cohort AS MATERIALIZED ({query}), own (kind, id) AS ( \
         SELECT t.kind, t.id FROM cohort c JOIN sluice.resource t ON t.owner = c.patient AND {t} \
         UNION SELECT n.kind, n.id FROM cohort c JOIN sluice.also n ON n.patient = c.patient \
         JOIN sluice.resource t ON t.kind = n.kind AND t.owner = n.owner AND t.id = n.id \
         AND t.row = n.row AND {t}), \
         hit (provenance) AS ({} UNION {}) \
         SELECT h.provenance FROM hit h WHERE {}",
        about("own", "own.kind", "own.id"),
        about("hit", &code.to_string(), "hit.provenance"),
        span.holds(&FOLLOWS.to_string(), "h.provenance"),
    )
}
