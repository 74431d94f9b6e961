//! Groups as they are now: searched, and read by id.

use bytes::Bytes;
use futures::{Stream, StreamExt, pin_mut};
use sluice_fhir::ResourceType;
use sluice_fhir::facts::{GroupFacts, without_members};
use sluice_ports::{ByteStream, GroupPage, GroupQuery, PortError};
use tokio_postgres::types::Type;

use super::members::LONGEST;
use super::relation::{Relation, text};
use crate::failure::failed;
use crate::pool::{Connections, Purpose, Session};
use crate::read::LARGE;
use crate::rows::Rows;

/// A Group longer than this is found without its members; reading it by its id gives them.
const LONG: usize = 1 << 20;
/// Bytes after which a page ends.
const PAGE_BYTES: usize = 4 << 20;
const SEARCHING: &str = "searching groups";
const READING: &str = "reading a group";

/// A page of Groups, inactive ones too. All that there are go by, one at a time; those that cannot be
/// read or are longer than [`LONGEST`] are passed over.
pub(super) async fn search(
    connections: &Connections,
    relation: &Relation,
    query: &GroupQuery,
) -> Result<GroupPage, PortError> {
    let session = connections.begin(Purpose::Ask).await?;
    let rows = session
        .query_typed_raw(
            &search_sql(relation, &query.ids),
            std::iter::empty::<(i64, Type)>(),
        )
        .await
        .map_err(failed(SEARCHING))?;
    pin_mut!(rows);
    let (mut page, mut bytes) = (GroupPage::default(), 0);
    while let Some(row) = rows.next().await {
        let row = row.map_err(failed(SEARCHING))?;
        let Ok(body) = std::str::from_utf8(row.get(0)) else {
            continue;
        };
        let id: &str = row.get(1);
        if !GroupFacts::read(body).is_ok_and(|group| query.matches(id, &group)) {
            continue;
        }
        page.total += 1;
        let is_here = page.total > query.offset && page.groups.len() < query.limit;
        if is_here && bytes < PAGE_BYTES {
            let group = shortened(body)?;
            bytes += group.len();
            page.groups.push(group);
        }
    }
    session.done().await?;
    Ok(page)
}

/// The bodies of Groups, each once, sorted by id.
fn search_sql(relation: &Relation, ids: &[String]) -> String {
    let which = if ids.is_empty() {
        "TRUE".to_owned()
    } else {
        let ids = crate::range::ids(ids);
        format!("v.{} = ANY({ids})", relation.id)
    };
    format!(
        "SELECT {body}, x.i FROM (SELECT DISTINCT ON (i) {id} AS i, v.{column} AS body FROM {from} \
         WHERE {is_a} AND {lives} AND {has_body} AND {size} <= {LONGEST} AND {which} \
         ORDER BY i, v.{patient} NULLS FIRST) x ORDER BY x.i",
        body = relation.bytes("x.body"),
        column = relation.body,
        id = relation.id("v"),
        from = relation.named("v"),
        is_a = relation.is_a("v", ResourceType::GROUP),
        lives = relation.lives("v"),
        has_body = relation.has_body("v"),
        size = relation.size("v"),
        patient = relation.patient,
    )
}

/// A Group as it is; a long one with everything but its members, and the tag that says so.
fn shortened(body: &str) -> Result<Bytes, PortError> {
    if body.len() <= LONG {
        return Ok(Bytes::copy_from_slice(body.as_bytes()));
    }
    let broken = |error| PortError::permanent("shortening a group", error);
    let short = without_members(body.as_bytes()).map_err(broken)?;
    Ok(short.into())
}

/// A Group in pieces, by one statement: it may change meanwhile.
pub(super) async fn read(
    connections: &Connections,
    relation: &Relation,
    id: &str,
) -> Result<Option<ByteStream>, PortError> {
    let session = connections.begin(Purpose::Read).await?;
    let sql = format!(
        "COPY (SELECT g.at::bigint, substr(x.body, g.at, {LARGE}) FROM (SELECT {body} AS body FROM {from} \
         WHERE {is_a} AND v.{column} = {id} AND {lives} AND {has_body} \
         ORDER BY v.{patient} NULLS FIRST LIMIT 1) x, \
         LATERAL generate_series(1, octet_length(x.body), {LARGE}) g (at) ORDER BY g.at) \
         TO STDOUT (FORMAT binary)",
        body = relation.bytes(&format!("v.{}", relation.body)),
        from = relation.named("v"),
        is_a = relation.is_a("v", ResourceType::GROUP),
        column = relation.id,
        id = text(id),
        lives = relation.lives("v"),
        has_body = relation.has_body("v"),
        patient = relation.patient,
    );
    let stream = session.copy_out(&*sql).await.map_err(failed(READING))?;
    let reading = Reading {
        session,
        stream: stream.map(|piece| piece.map_err(failed(READING))).boxed(),
        rows: Rows::new(),
    };
    let Some((first, reading)) = reading.next().await? else {
        return Ok(None);
    };
    // Mostly that was all; then the connection does not wait for whoever reads it.
    let mut pieces = vec![Ok(first)];
    let rest = match reading.next().await? {
        Some((second, reading)) => {
            pieces.push(Ok(second));
            futures::stream::try_unfold(reading, Reading::next).boxed()
        }
        None => futures::stream::empty().boxed(),
    };
    Ok(Some(futures::stream::iter(pieces).chain(rest).boxed()))
}

struct Reading<S> {
    session: Session,
    stream: S,
    rows: Rows,
}

impl<S: Stream<Item = Result<Bytes, PortError>> + Unpin> Reading<S> {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, PortError> {
        loop {
            if let Some(row) = self.rows.next()? {
                return Ok(Some((row.body, self)));
            }
            match self.stream.next().await {
                Some(piece) => self.rows.feed(piece?),
                None if self.rows.is_over() => break,
                None => return Err(PortError::transient(READING, "the rows were cut off")),
            }
        }
        self.session.done().await?;
        Ok(None)
    }
}
