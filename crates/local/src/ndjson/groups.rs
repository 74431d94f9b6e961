//! Searches Groups.

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use sluice_fhir::ResourceType;
use sluice_fhir::facts::without_members as shortened;
use sluice_ports::{GroupPage, GroupQuery, PortError};

use super::failure::index;
use super::generation::Generation;
use super::kinds::code;
use super::read::line;

/// A Group longer than this is found without its members; reading it by its id gives them.
const LONG: u64 = 1 << 20;
/// Bytes after which a page ends.
const PAGE_BYTES: usize = 4 << 20;

/// A page of Groups, inactive ones too: they are data like others.
pub(super) fn search(generation: &Generation, query: &GroupQuery) -> Result<GroupPage, PortError> {
    let db = generation.index().map_err(index)?;
    let (condition, values) = conditions(query);
    let total = count(&db, &condition, &values).map_err(index)?;
    let places = page(&db, query, &condition, values).map_err(index)?;
    let (mut groups, mut bytes) = (Vec::new(), 0);
    for place in places {
        let span = span(&db, place).map_err(index)?;
        let group = if span.1 > LONG {
            without_members(generation, place, span)?
        } else {
            line(generation, place, span)?
        };
        bytes += group.len();
        groups.push(group);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(GroupPage {
        groups,
        total: usize::try_from(total).unwrap_or(0),
    })
}

/// A long Group with everything but its members, and the tag that says so.
fn without_members(
    generation: &Generation,
    place: i64,
    span: (u64, u64),
) -> Result<Bytes, PortError> {
    let broken = |error| PortError::permanent("shortening a group", error);
    let text = line(generation, place, span)?;
    let short = shortened(&text).map_err(broken)?;
    Ok(short.into())
}

/// Where a Group is: its place and its line.
pub(super) fn find(generation: &Generation, id: &str) -> Result<Option<Found>, PortError> {
    let db = generation.index().map_err(index)?;
    let place = db.query_row("SELECT place FROM groups WHERE id = ?", [id], |row| {
        row.get(0)
    });
    let Some(place) = place.optional().map_err(index)? else {
        return Ok(None);
    };
    let span = span(&db, place).map_err(index)?;
    Ok(Some(Found { place, span }))
}

/// A Group in the folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    place: i64,
    span: (u64, u64),
}

/// Bytes of a Group read at a time.
const PIECE: u64 = 1 << 20;

impl Found {
    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self, generation: &Generation) -> Result<Option<Bytes>, PortError> {
        let (at, left) = self.span;
        let length = left.min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let piece = line(generation, self.place, (at, length))?;
        self.span = (at + length, left - length);
        Ok(Some(piece))
    }
}

/// Where the line is.
fn span(db: &Connection, place: i64) -> rusqlite::Result<(u64, u64)> {
    let mut find = db.prepare_cached("SELECT at, len FROM entries WHERE kind = ? AND place = ?")?;
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    find.query_row([code(ResourceType::GROUP), place], |row| {
        Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
    })
}

fn count(db: &Connection, condition: &str, values: &[Value]) -> rusqlite::Result<i64> {
    let sql = format!("SELECT count(*) FROM groups g WHERE {condition}");
    db.query_row(&sql, params_from_iter(values), |row| row.get(0))
}

fn page(
    db: &Connection,
    query: &GroupQuery,
    condition: &str,
    mut values: Vec<Value>,
) -> rusqlite::Result<Vec<i64>> {
    let sql = format!("SELECT place FROM groups g WHERE {condition} ORDER BY id LIMIT ? OFFSET ?");
    for number in [query.limit, query.offset] {
        values.push(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
    }
    let mut find = db.prepare(&sql)?;
    let found = find.query_map(params_from_iter(values), |row| row.get(0))?;
    found.collect()
}

/// A condition on `g`, and what stands for its question marks.
fn conditions(query: &GroupQuery) -> (String, Vec<Value>) {
    let (mut all, mut values) = (vec!["1".to_owned()], Vec::new());
    let mut any = |one: Vec<String>| {
        if !one.is_empty() {
            all.push(format!("({})", one.join(" OR ")));
        }
    };
    if !query.ids.is_empty() {
        values.extend(query.ids.iter().cloned().map(Value::Text));
        let marks = vec!["?"; query.ids.len()].join(", ");
        any(vec![format!("g.id IN ({marks})")]);
    }
    let names = query.names.iter().map(|name| {
        let name = name.to_lowercase();
        values.extend([Value::Text(name.clone()), Value::Text(name)]);
        "substr(g.name, 1, length(?)) = ?".to_owned()
    });
    any(names.collect());
    let identifiers = query.identifiers.iter().map(|token| {
        let mut tests = vec!["i.place = g.place"];
        let (system, value) = match token.split_once('|') {
            Some((system, value)) => (Some(system), value),
            None => (None, token.as_str()),
        };
        if let Some(system) = system {
            tests.push("i.system = ?");
            values.push(Value::Text(system.to_owned()));
        }
        if !value.is_empty() {
            tests.push("i.value = ?");
            values.push(Value::Text(value.to_owned()));
        }
        let tests = tests.join(" AND ");
        format!("EXISTS (SELECT 1 FROM identifiers i WHERE {tests})")
    });
    any(identifiers.collect());
    (all.join(" AND "), values)
}
