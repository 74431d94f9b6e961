//! Numbers for who and what is named, looked up once and remembered for a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use sluice_ports::PortError;
use tokio_postgres::types::Type;

use crate::failure::{failed, is_conflict};
use crate::pool::Session;

/// Numbers remembered; resources near each other name the same ones.
const REMEMBERED: usize = 500_000;
/// Tries before two loaders that name the same new things give up on each other.
const TRIES: u32 = 20;

/// What has a number already.
#[derive(Default)]
pub(crate) struct Names {
    patients: Mutex<HashMap<String, i64>>,
    things: Mutex<HashMap<(i16, String), i64>>,
}

impl Names {
    /// The numbers of patients, in the order in which they are named first.
    pub(crate) async fn patients(
        &self,
        session: &Session,
        ids: &[&str],
    ) -> Result<HashMap<String, i64>, PortError> {
        let (mut found, mut missing) = known(&self.patients, ids.iter().map(|id| (*id).to_owned()));
        let mut tries = 0;
        while !missing.is_empty() {
            let rows = session
                .query_typed(
                    "WITH asked AS (SELECT id, min(n) AS n FROM unnest($1) WITH ORDINALITY t (id, n) \
                     GROUP BY id), found AS (SELECT p.id, p.ordinal FROM sluice.patient p \
                     WHERE p.id = ANY($1)), made AS (INSERT INTO sluice.patient (id) \
                     SELECT a.id FROM asked a WHERE NOT EXISTS (SELECT 1 FROM found f \
                     WHERE f.id = a.id) ORDER BY a.n ON CONFLICT DO NOTHING RETURNING id, ordinal) \
                     SELECT id, ordinal FROM found UNION ALL SELECT id, ordinal FROM made",
                    &[(&missing, Type::TEXT_ARRAY)],
                )
                .await;
            let rows = match rows {
                Err(error) if is_conflict(&error) && tries < TRIES => Vec::new(),
                rows => rows.map_err(failed("numbering patients"))?,
            };
            // Who was numbered by somebody else meanwhile is found next time.
            tries += 1;
            let new = rows.iter().map(|row| (row.get(0), row.get(1)));
            missing = keep(&self.patients, &mut found, missing, new);
        }
        Ok(found)
    }

    /// The numbers of other things: type, id.
    pub(crate) async fn things(
        &self,
        session: &Session,
        things: impl Iterator<Item = (i16, String)>,
    ) -> Result<HashMap<(i16, String), i64>, PortError> {
        let (mut found, mut missing) = known(&self.things, things);
        let mut tries = 0;
        while !missing.is_empty() {
            let (kinds, ids): (Vec<i16>, Vec<&str>) = missing
                .iter()
                .map(|(kind, id)| (*kind, id.as_str()))
                .unzip();
            let rows = session
                .query_typed(
                    "WITH asked AS (SELECT DISTINCT kind, id FROM unnest($1, $2) t (kind, id)), \
                     found AS (SELECT n.kind, n.id, n.ordinal FROM sluice.name n JOIN asked a \
                     USING (kind, id)), made AS (INSERT INTO sluice.name (kind, id) \
                     SELECT a.kind, a.id FROM asked a WHERE NOT EXISTS (SELECT 1 FROM found f \
                     WHERE f.kind = a.kind AND f.id = a.id) ORDER BY a.kind, a.id \
                     ON CONFLICT DO NOTHING RETURNING kind, id, ordinal) \
                     SELECT kind, id, ordinal FROM found \
                     UNION ALL SELECT kind, id, ordinal FROM made",
                    &[(&kinds, Type::INT2_ARRAY), (&ids, Type::TEXT_ARRAY)],
                )
                .await;
            let rows = match rows {
                Err(error) if is_conflict(&error) && tries < TRIES => Vec::new(),
                rows => rows.map_err(failed("numbering what is referred to"))?,
            };
            tries += 1;
            let new = rows
                .iter()
                .map(|row| ((row.get(0), row.get(1)), row.get(2)));
            missing = keep(&self.things, &mut found, missing, new);
        }
        Ok(found)
    }
}

/// What is remembered of what is asked, and the rest.
fn known<K: Hash + Eq + Clone>(
    memory: &Mutex<HashMap<K, i64>>,
    asked: impl Iterator<Item = K>,
) -> (HashMap<K, i64>, Vec<K>) {
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut found, mut missing) = (HashMap::new(), Vec::new());
    for key in asked {
        match memory.get(&key) {
            Some(number) => {
                found.insert(key, *number);
            }
            None => missing.push(key),
        }
    }
    (found, missing)
}

/// Remembers what is new, and gives what is still missing.
fn keep<K: Hash + Eq + Clone>(
    memory: &Mutex<HashMap<K, i64>>,
    found: &mut HashMap<K, i64>,
    missing: Vec<K>,
    new: impl Iterator<Item = (K, i64)>,
) -> Vec<K> {
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    for (key, number) in new {
        if memory.len() >= REMEMBERED {
            memory.clear();
        }
        memory.insert(key.clone(), number);
        found.insert(key, number);
    }
    missing
        .into_iter()
        .filter(|key| !found.contains_key(key))
        .collect()
}
