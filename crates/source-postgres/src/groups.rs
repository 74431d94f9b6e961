//! Groups as they are now: searched, and read by id.

use bytes::Bytes;
use futures::StreamExt;
use sluice_fhir::ResourceType;
use sluice_ports::{ByteStream, GroupPage, GroupQuery, PortError};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::failure::failed;
use crate::kinds::Kinds;
use crate::pool::{Connections, Purpose, Session};
use crate::read::LARGE;

/// A Group longer than this is found without its members; reading it by its id gives them.
const LONG: i32 = 1 << 20;
/// Bytes after which a page ends.
const PAGE_BYTES: usize = 4 << 20;
const SEARCHING: &str = "searching groups";

/// A page of Groups.
pub(crate) async fn search(
    connections: &Connections,
    kinds: &Kinds,
    query: &GroupQuery,
) -> Result<GroupPage, PortError> {
    let names: Vec<String> = query.names.iter().map(|name| name.to_lowercase()).collect();
    let (systems, values): (Vec<Option<&str>>, Vec<Option<&str>>) = query
        .identifiers
        .iter()
        .map(|token| match token.split_once('|') {
            Some((system, value)) => (Some(system), Some(value).filter(|value| !value.is_empty())),
            None => (None, Some(token.as_str())),
        })
        .unzip();
    let condition = format!(
        "FROM sluice.grouping q JOIN sluice.resource r ON r.kind = {} AND r.id = q.id \
         AND r.row = q.row AND r.died_at = 9223372036854775807 \
         WHERE (cardinality($1) = 0 OR q.id = ANY($1)) \
         AND (cardinality($2) = 0 OR EXISTS (SELECT 1 FROM unnest($2) n WHERE starts_with(q.name, n))) \
         AND (cardinality($3) = 0 OR EXISTS (SELECT 1 FROM unnest($3, $4) t (system, value) \
             JOIN sluice.identifier i ON i.row = q.row AND (t.system IS NULL OR i.system = t.system) \
             AND (t.value IS NULL OR i.value = t.value)))",
        kinds.code(ResourceType::GROUP)
    );
    let values: [(&(dyn ToSql + Sync), Type); 4] = [
        (&query.ids, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&systems, Type::TEXT_ARRAY),
        (&values, Type::TEXT_ARRAY),
    ];
    let session = connections.begin(Purpose::Ask).await?;
    let count = session
        .query_typed_one(&format!("SELECT count(*) {condition}"), &values)
        .await
        .map_err(failed(SEARCHING))?;
    let (offset, limit) = (number(query.offset), number(query.limit));
    let mut values = values.to_vec();
    values.extend([
        (&offset as &(dyn ToSql + Sync), Type::INT8),
        (&limit, Type::INT8),
    ]);
    let sql = format!("SELECT r.row, r.size, r.id {condition} ORDER BY q.id OFFSET $5 LIMIT $6");
    let rows = session
        .query_typed(&sql, &values)
        .await
        .map_err(failed(SEARCHING))?;
    let groups = bodies(&session, kinds, rows).await?;
    session.done().await?;
    Ok(GroupPage {
        groups,
        total: usize::try_from(count.get::<_, i64>(0)).unwrap_or(0),
    })
}

/// As many of the bodies as fit on a page.
async fn bodies(session: &Session, kinds: &Kinds, rows: Vec<Row>) -> Result<Vec<Bytes>, PortError> {
    let (mut groups, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let (version, size, id): (i64, i32, &str) = (row.get(0), row.get(1), row.get(2));
        let body = body_sql(kinds, size > LONG);
        let row = session
            .query_typed_one(&body, &[(&id, Type::TEXT), (&version, Type::INT8)])
            .await
            .map_err(failed(SEARCHING))?;
        let group = Bytes::from(row.get::<_, Vec<u8>>(0));
        bytes += group.len();
        groups.push(group);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(groups)
}

/// The body of a version; a long one with everything but its members, and the tag that says so. The
/// database shortens it: it may hold a million of them.
fn body_sql(kinds: &Kinds, is_long: bool) -> String {
    let body = if is_long {
        "convert_to((jsonb_set(g - 'member', '{meta}', coalesce(g->'meta', '{}') || jsonb_build_object('tag', \
         coalesce(g->'meta'->'tag', '[]') || \
         '[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\"code\":\"SUBSETTED\"}]')))::text, 'UTF8')"
    } else {
        "r.body"
    };
    let group = if is_long {
        ", LATERAL (SELECT convert_from(r.body, 'UTF8')::jsonb AS g) j"
    } else {
        ""
    };
    format!(
        "SELECT {body} FROM sluice.resource r{group} WHERE r.kind = {} AND r.id = $1 AND r.row = $2",
        kinds.code(ResourceType::GROUP)
    )
}

/// A Group in pieces.
pub(crate) async fn read(
    connections: &Connections,
    kinds: &Kinds,
    id: &str,
) -> Result<Option<ByteStream>, PortError> {
    let session = connections.begin(Purpose::Ask).await?;
    let code = kinds.code(ResourceType::GROUP);
    let found = session
        .query_typed_opt(
            &format!(
                "SELECT r.row, r.size FROM sluice.resource r WHERE r.kind = {code} AND r.id = $1 \
                 AND r.died_at = 9223372036854775807"
            ),
            &[(&id, Type::TEXT)],
        )
        .await
        .map_err(failed("reading a group"))?;
    session.done().await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let reading = Reading {
        connections: connections.clone(),
        code,
        row: found.get(0),
        size: found.get(1),
        at: 1,
    };
    Ok(Some(
        futures::stream::try_unfold(reading, Reading::next).boxed(),
    ))
}

struct Reading {
    connections: Connections,
    code: i16,
    row: i64,
    size: i32,
    at: i32,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, PortError> {
        if self.at > self.size {
            return Ok(None);
        }
        let session = self.connections.begin(Purpose::Ask).await?;
        let row = session
            .query_typed_opt(
                &format!(
                    "SELECT substr(r.body, $2, {LARGE}) FROM sluice.resource r \
                     JOIN sluice.grouping q ON q.id = r.id AND q.row = r.row \
                     WHERE q.row = $1 AND r.kind = {}",
                    self.code
                ),
                &[(&self.row, Type::INT8), (&self.at, Type::INT4)],
            )
            .await
            .map_err(failed("reading a group"))?;
        session.done().await?;
        let Some(row) = row else {
            return Err(PortError::transient("reading a group", "it is gone"));
        };
        self.at += LARGE;
        Ok(Some((Bytes::from(row.get::<_, Vec<u8>>(0)), self)))
    }
}

fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
