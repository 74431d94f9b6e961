//! The entries of a scope, in order.

use std::sync::Mutex;

use rusqlite::{Connection, Row};
use sluice_fhir::{Instant, ResourceType};
use sluice_model::Scope;
use sluice_ports::PortError;

use super::cohort::is_bounded;
use super::failure::index;
use super::generation::Generation;
use super::kinds::code;
use super::picks::{ensure, is_of_one, of_one};

const WHOLE: &str = "SELECT place, at, len, updated FROM entries
    WHERE kind = ?1 AND place >= ?2 AND place < ?3 ORDER BY place";

const COMPARTMENTS: &str = "SELECT place, at, len, updated FROM entries e
    WHERE kind = ?1 AND place >= ?2 AND place < ?3 AND (home = 1 OR EXISTS
        (SELECT 1 FROM picks p WHERE p.kind = e.kind AND p.place = e.place))
    ORDER BY place";

const COHORT: &str = "SELECT p.place, e.at, e.len, e.updated FROM picks p
    CROSS JOIN entries e ON e.kind = p.kind AND e.place = p.place
    WHERE p.kind = ?1 AND p.place >= ?2 AND p.place < ?3 ORDER BY p.place";

/// A line of the folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) place: i64,
    /// Where it begins in its file.
    pub(super) at: u64,
    /// Its bytes, the newline not counted.
    pub(super) len: u64,
    updated: Option<i64>,
}

impl Entry {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            place: row.get(0)?,
            at: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
            len: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
            updated: row.get(3)?,
        })
    }
}

/// Whether to go on.
pub(super) enum Step {
    More,
    Enough,
}

/// A scope on a connection of its own.
pub(super) struct View<'a> {
    db: Connection,
    sql: &'static str,
    generation: &'a Generation,
    scope: &'a Scope,
}

impl<'a> View<'a> {
    pub(super) fn open(
        generation: &'a Generation,
        scope: &'a Scope,
        turn: &Mutex<()>,
    ) -> Result<Self, PortError> {
        let index_alone = || generation.index().map_err(index);
        let (db, sql) = if scope.is_whole() {
            (index_alone()?, WHOLE)
        } else if is_of_one(scope) {
            (of_one(generation, scope)?, COHORT)
        } else {
            let picks = ensure(generation, scope, turn)?;
            let db = index_alone()?;
            db.execute("ATTACH ? AS scope", [picks.to_string_lossy()])
                .map_err(index)?;
            let sql = if is_bounded(scope) {
                COHORT
            } else {
                COMPARTMENTS
            };
            (db, sql)
        };
        Ok(Self {
            db,
            sql,
            generation,
            scope,
        })
    }

    /// Visits the entries of a type from one place up to another, those that `_since` and
    /// `_until` admit.
    pub(super) fn each(
        &self,
        kind: ResourceType,
        (from, to): (i64, i64),
        mut visit: impl FnMut(Entry) -> Result<Step, PortError>,
    ) -> Result<(), PortError> {
        let mut query = self.db.prepare_cached(self.sql).map_err(index)?;
        let mut rows = query.query([code(kind), from, to]).map_err(index)?;
        while let Some(row) = rows.next().map_err(index)? {
            let entry = Entry::read(row).map_err(index)?;
            if self.admits(&entry)
                && let Step::Enough = visit(entry)?
            {
                break;
            }
        }
        Ok(())
    }

    fn admits(&self, entry: &Entry) -> bool {
        let updated: Option<Instant> = self.generation.updated(entry.place, entry.updated);
        self.scope.admits(updated)
    }
}
