//! Of which types there is anything, and of what kind: asked once for a slice, so that nothing is looked for that
//! cannot be there.

use std::collections::BTreeMap;

use sluice_ports::PortError;
use tokio_postgres::types::Type;

use crate::pool::{Connections, Purpose};
use crate::range::{FOLLOWS, NOBODY};

/// The types of which there is anything, by their numbers.
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
    /// Looks for these types; `provenance` is the number of that type.
    pub(crate) async fn read(
        connections: &Connections,
        codes: &[i16],
        provenance: i16,
    ) -> Result<Self, PortError> {
        let rows = connections
            .ask(
                (Purpose::Ask, "looking which types there are"),
                // LIMIT keeps the planner from reading all of it to find out.
                &format!(
                    "SELECT k, EXISTS (SELECT 1 FROM sluice.resource n WHERE n.kind = k \
                     AND n.owner = CASE k WHEN $2 THEN {FOLLOWS} ELSE {NOBODY} END), \
                     EXISTS (SELECT 1 FROM sluice.also a WHERE a.kind = k) \
                     FROM unnest($1) k, LATERAL (SELECT 1 FROM sluice.resource r \
                     WHERE r.kind = k LIMIT 1) x"
                ),
                &[(&codes, Type::INT2_ARRAY), (&provenance, Type::INT2)],
            )
            .await?;
        let held = rows.iter().map(|row| {
            let held = Held {
                nobodys: row.get(1),
                shared: row.get(2),
            };
            (row.get(0), held)
        });
        Ok(Self(held.collect()))
    }

    /// What there is of a type, if there is anything.
    pub(crate) fn of(&self, code: i16) -> Option<Held> {
        self.0.get(&code).copied()
    }

    /// The numbers of the types.
    pub(crate) fn codes(&self) -> Vec<i16> {
        self.0.keys().copied().collect()
    }
}
