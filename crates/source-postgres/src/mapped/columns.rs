//! Checks a mapping against the catalogue, once, so that whoever wrote it hears what is wrong.

use sluice_ports::PortError;
use tokio_postgres::types::Type;

use super::mapping::{MappedColumns, Mapping, MappingError, column, relation};
use super::relation::{Body, Relation};
use crate::failure::failed;
use crate::pool::Session;

/// What was tried.
const ACTION: &str = "checking the mapped relation";
const TEXT: &str = "text";
const TEXTS: &[&str] = &["text", "character varying"];

/// A relation's columns: name, and type without its length.
type Columns = Vec<(String, String)>;

/// The relation of a mapping, if the database has it and can be asked.
pub(super) async fn check(session: &Session, mapping: &Mapping) -> Result<Relation, PortError> {
    let wrong = |error: MappingError| PortError::permanent(ACTION, error);
    let (schema, name) = relation(&mapping.relation).map_err(wrong)?;
    let found = find(session, schema, name).await?;
    let relation = fit(&mapping.relation, &mapping.columns, &found).map_err(wrong)?;
    let probe = format!(
        "SELECT {} FROM {} LIMIT 0",
        relation.all("v"),
        relation.named("v")
    );
    // Privileges, and views over what is gone.
    let asked = session.query_typed(&probe, &[]).await;
    asked.map_err(failed(ACTION))?;
    Ok(relation)
}

async fn find(session: &Session, schema: &str, name: &str) -> Result<Columns, PortError> {
    let rows = session
        .query_typed(
            "SELECT c.relkind::text, n.nspname::text, c.relname::text, a.attname::text, \
             format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), NULL) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
             AND NOT a.attisdropped LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             WHERE lower(n.nspname) = lower($1) AND lower(c.relname) = lower($2) ORDER BY a.attnum",
            &[(&schema, Type::TEXT), (&name, Type::TEXT)],
        )
        .await
        .map_err(failed(ACTION))?;
    let text = |row: &tokio_postgres::Row, at| row.get::<_, Option<String>>(at).unwrap_or_default();
    let is_it = |row: &&tokio_postgres::Row| text(row, 1) == schema && text(row, 2) == name;
    let Some(first) = rows.iter().find(is_it) else {
        let near = rows.first().map(|row| (text(row, 1), text(row, 2)));
        let error = MappingError::NoRelation {
            relation: format!("{schema}.{name}"),
            hint: near.map_or_else(String::new, |(schema, name)| {
                format!("; there is {schema}.{name}, and case counts")
            }),
        };
        return Err(PortError::permanent(ACTION, error));
    };
    if !matches!(&*text(first, 0), "r" | "p" | "v" | "m" | "f") {
        let error = MappingError::NoRows(format!("{schema}.{name}"));
        return Err(PortError::permanent(ACTION, error));
    }
    let its = rows.iter().filter(is_it);
    Ok(its.map(|row| (text(row, 3), text(row, 4))).collect())
}

/// The columns that the mapping names, if they are there and of types that can be used.
fn fit(relation: &str, columns: &MappedColumns, found: &Columns) -> Result<Relation, MappingError> {
    let of = |role, name, types: (&'static str, &'static [&'static str])| {
        one(relation, role, name, types, found)
    };
    let (kind, _) = of("type", &columns.kind, (TEXT, TEXTS))?;
    let (id, _) = of("id", &columns.id, (TEXT, TEXTS))?;
    let (patient, _) = of("patient", &columns.patient, (TEXT, TEXTS))?;
    let times: &[&str] = &["timestamp with time zone", "timestamp without time zone"];
    let (updated, time) = of(
        "last_updated",
        &columns.last_updated,
        ("timestamptz or timestamp (in UTC)", times),
    )?;
    let bodies: &[&str] = &["text", "character varying", "json", "jsonb", "bytea"];
    let (body, body_type) = of(
        "body",
        &columns.body,
        ("text, json, jsonb or bytea", bodies),
    )?;
    let has = |name: &str| found.iter().any(|column| column.0 == name);
    let deleted = match &columns.deleted {
        Some(name) => Some(name.as_str()),
        None => has("deleted").then_some("deleted"),
    };
    let deleted = match deleted {
        Some(name) => Some(of("deleted", name, ("boolean", &["boolean"]))?.0),
        None => None,
    };
    Ok(Relation {
        name: relation
            .split('.')
            .map(quoted)
            .collect::<Vec<_>>()
            .join("."),
        kind,
        id,
        patient,
        updated,
        has_zone: time == times[0],
        body,
        body_type: match &*body_type {
            "bytea" => Body::Bytes,
            "json" | "jsonb" => Body::Json,
            _ => Body::Text,
        },
        deleted,
    })
}

/// A column as SQL, and its type.
fn one(
    relation: &str,
    role: &'static str,
    name: &str,
    (wanted, types): (&'static str, &'static [&'static str]),
    found: &Columns,
) -> Result<(String, String), MappingError> {
    let name = column(role, name)?;
    let Some((_, found_type)) = found.iter().find(|column| column.0 == name) else {
        let names: Vec<&str> = found.iter().map(|column| column.0.as_str()).collect();
        return Err(MappingError::NoColumn {
            relation: relation.to_owned(),
            role,
            name: name.to_owned(),
            found: names.join(", "),
        });
    };
    if !types.contains(&found_type.as_str()) {
        return Err(MappingError::WrongType {
            relation: relation.to_owned(),
            role,
            name: name.to_owned(),
            found: found_type.clone(),
            wanted,
        });
    }
    Ok((quoted(name), found_type.clone()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
