//! Searches Groups.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use sluice_fhir::ResourceType;
use sluice_ports::{GroupPage, GroupQuery, PortError};

use super::failure::index;
use super::generation::Generation;
use super::kinds::code;
use super::read::line;

/// A page of Groups, inactive ones too: they are data like others.
pub(super) fn search(generation: &Generation, query: &GroupQuery) -> Result<GroupPage, PortError> {
    let db = generation.index().map_err(index)?;
    let (condition, values) = conditions(query);
    let total = count(&db, &condition, &values).map_err(index)?;
    let places = page(&db, query, &condition, values).map_err(index)?;
    let groups = places.into_iter().map(|place| read(generation, &db, place));
    Ok(GroupPage {
        groups: groups.collect::<Result<_, _>>()?,
        total: usize::try_from(total).unwrap_or(0),
    })
}

/// One Group by its id.
pub(super) fn get(generation: &Generation, id: &str) -> Result<Option<bytes::Bytes>, PortError> {
    let db = generation.index().map_err(index)?;
    let place = db.query_row("SELECT place FROM groups WHERE id = ?", [id], |row| {
        row.get(0)
    });
    match place.optional().map_err(index)? {
        Some(place) => read(generation, &db, place).map(Some),
        None => Ok(None),
    }
}

fn read(generation: &Generation, db: &Connection, place: i64) -> Result<bytes::Bytes, PortError> {
    let span: (i64, i64) = db
        .prepare_cached("SELECT at, len FROM entries WHERE kind = ? AND place = ?")
        .and_then(|mut find| {
            find.query_row([code(ResourceType::GROUP), place], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
        .map_err(index)?;
    let span = (
        u64::try_from(span.0).unwrap_or(0),
        u64::try_from(span.1).unwrap_or(0),
    );
    line(generation, place, span)
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
