//! Of which types there is anything, and of what kind: asked once for a slice, so that nothing is looked for that
//! cannot be there.

use std::collections::BTreeMap;

use sluice_ports::PortError;
use tokio_postgres::Row;

use crate::pool::{Connections, Purpose};
use crate::range::{FOLLOWS, NOBODY};

/// The types of which there is anything, by their numbers.
#[derive(Default)]
pub(crate) struct Holdings(BTreeMap<i16, Held>);

/// What there is of a type, dead or alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Something that is nobody's; of Provenances, anything.
    pub(crate) nobodys: bool,
    /// Something that lies in several compartments.
    pub(crate) shared: bool,
}

impl Holdings {
    /// The statement that looks for these types, of which there is at least one; `provenance` is the number of that
    /// type. Where all is read alike, what is nobody's or shared is not looked for.
    pub(crate) fn sql(codes: &[i16], provenance: i16, is_whole: bool) -> String {
        union(codes.iter().map(|code| {
            let is = is_any(*code);
            if is_whole {
                return format!("SELECT {code}::smallint, FALSE, FALSE WHERE {is}");
            }
            let owner = if *code == provenance { FOLLOWS } else { NOBODY };
            format!(
                "SELECT {code}::smallint, EXISTS (SELECT 1 FROM sluice.resource n WHERE n.kind = {code} \
                 AND n.owner = {owner}), EXISTS (SELECT 1 FROM sluice.also a WHERE a.kind = {code}) \
                 WHERE {is}"
            )
        }))
    }

    /// What that statement found.
    pub(crate) fn found(rows: &[Row]) -> Self {
        let held = rows.iter().map(|row| {
            let held = Held {
                nobodys: row.get(1),
                shared: row.get(2),
            };
            (row.get(0), held)
        });
        Self(held.collect())
    }

    /// What there is of a type, if there is anything.
    pub(crate) fn of(&self, code: i16) -> Option<Held> {
        self.0.get(&code).copied()
    }
}

/// Of which of these types there is anything, dead or alive.
pub(crate) async fn present(
    connections: &Connections,
    codes: &[i16],
) -> Result<Vec<i16>, PortError> {
    if codes.is_empty() {
        return Ok(Vec::new());
    }
    let each = codes
        .iter()
        .map(|code| format!("SELECT {code}::smallint WHERE {}", is_any(*code)));
    let looking = (Purpose::Ask, "looking which types there are");
    let rows = connections.ask(looking, &union(each), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn is_any(code: i16) -> String {
    format!("EXISTS (SELECT 1 FROM sluice.resource r WHERE r.kind = {code})")
}

/// A type each: with its number in it a statement is planned for one partition, and not for all of them, which would
/// take the database longer than a small slice does.
fn union(each: impl Iterator<Item = String>) -> String {
    each.collect::<Vec<_>>().join(" UNION ALL ")
}
