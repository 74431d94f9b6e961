//! What a scope takes beyond a rule that one entry can be tested by: for a cohort all its
//! entries, for all patients only what their resources refer to.
//!
//! It is worked out once per scope (of more than one patient), kept in a small database beside the index, and worked out
//! again, with the same result, when that is gone. `_since` and `_until` play no part in it: what
//! an old resource refers to stays with the export, so that a chain of incremental exports holds
//! together, and the filter is applied to each entry when it is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use sluice_fhir::Level;
use sluice_model::Scope;
use sluice_ports::{PortError, PortKind};

use super::cohort::{Cohort, gather, is_bounded};
use super::failure::{changed, index};
use super::generation::Generation;
use super::kinds::code;

/// Scopes kept; older ones are worked out again when they are needed.
const KEPT: usize = 64;

const SCHEMA: &str = "
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192;
CREATE TABLE cohort (patient INTEGER PRIMARY KEY);
CREATE TABLE wanted (kind INTEGER PRIMARY KEY);
CREATE TABLE picks (kind INT, place INT, PRIMARY KEY (kind, place)) WITHOUT ROWID;
CREATE TABLE notes (missing INT, others INT, lost_groups INT);
BEGIN;
";

/// What the scope's patients' resources refer to, and what that refers to, within the types.
/// A plus keeps SQLite from seeking each wanted type apart.
const SECOND_WAVE: &str = "
INSERT OR IGNORE INTO picks WITH RECURSIVE wave (kind, place) AS (
    SELECT kind, place FROM first
    UNION
    SELECT o.kind, o.place FROM wave CROSS JOIN onward o
        ON o.from_kind = wave.kind AND o.from_place = wave.place
    WHERE +o.kind IN (SELECT kind FROM wanted))
SELECT kind, place FROM wave;
";

/// Finds or makes the database of a scope. One at a time: several chunks begin at once.
pub(super) fn ensure(
    generation: &Generation,
    scope: &Scope,
    turn: &Mutex<()>,
) -> Result<PathBuf, PortError> {
    let folder = generation.folder.join("scopes");
    let path = folder.join(format!("{}.sqlite", key(generation, scope)?));
    if path.is_file() {
        return Ok(path);
    }
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
    if path.is_file() {
        return Ok(path);
    }
    if !generation.is_there() {
        return Err(changed());
    }
    let failed = |error| PortError::transient("keeping what an export takes", error);
    fs::create_dir_all(&folder).map_err(failed)?;
    thin_out(&folder).map_err(failed)?;
    let building = path.with_extension(format!("{}.building", std::process::id()));
    let _left_by_a_failure = fs::remove_file(&building);
    build(generation, scope, &building)?;
    // A power cut must not leave half of it under its final name.
    let flush = || fs::File::open(&building)?.sync_all();
    flush().map_err(failed)?;
    fs::rename(&building, &path).map_err(failed)?;
    Ok(path)
}

/// Whether a scope is about one patient, as those are that an export organized by Patient asks about, one after
/// another: working out what it takes is less work than keeping that, and keeping it would push out what others need.
pub(super) fn is_of_one(scope: &Scope) -> bool {
    let patients = scope.patients.as_ref();
    !matches!(scope.level, Level::Group(_)) && patients.is_some_and(|ids| ids.len() == 1)
}

/// The database of such a scope, in memory, with the index beside it.
pub(super) fn of_one(generation: &Generation, scope: &Scope) -> Result<Connection, PortError> {
    if !generation.is_there() {
        return Err(changed());
    }
    let db = Connection::open_in_memory().map_err(index)?;
    attach(&db, &generation.index_path()).map_err(index)?;
    fill(&db, scope).map_err(index)?;
    Ok(db)
}

/// Opens the database of a scope, which says what was found while gathering the patients.
pub(super) fn notes(path: &Path) -> rusqlite::Result<Cohort> {
    let db = super::tables::open(path)?;
    db.query_row(
        "SELECT missing, others, lost_groups FROM notes",
        [],
        |row| {
            Ok(Cohort {
                missing: row.get(0)?,
                others: row.get(1)?,
                lost_groups: row.get(2)?,
                ..Cohort::default()
            })
        },
    )
}

fn key(generation: &Generation, scope: &Scope) -> Result<String, PortError> {
    // Periods of membership make a Group's population depend on T; nothing else does.
    let moves = generation.has_periods && matches!(scope.level, Level::Group(_));
    let time = moves.then_some(scope.snapshot.time);
    let text = serde_json::to_vec(&(&scope.level, &scope.types, &scope.patients, time));
    let text = text.map_err(|error| PortError::permanent("naming a scope", error))?;
    Ok(hex::encode(&Sha256::digest(text)[..12]))
}

/// Removes the oldest, and what a crash left.
fn thin_out(folder: &Path) -> std::io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        kept.push((entry.metadata()?.modified()?, entry.path()));
    }
    kept.sort_unstable();
    for (_, path) in kept.iter().rev().skip(KEPT - 1) {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn build(generation: &Generation, scope: &Scope, path: &Path) -> Result<(), PortError> {
    let db = Connection::open(path).map_err(index)?;
    attach(&db, &generation.index_path()).map_err(index)?;
    let cohort = fill(&db, scope).map_err(index)?;
    if cohort.no_group {
        return Err(PortError::new(PortKind::NotFound, "gathering a group"));
    }
    Ok(())
}

/// Puts the index beside a database of one's own.
pub(super) fn attach(db: &Connection, index: &Path) -> rusqlite::Result<()> {
    db.execute("ATTACH ? AS folder", [index.to_string_lossy()])?;
    Ok(())
}

fn fill(db: &Connection, scope: &Scope) -> rusqlite::Result<Cohort> {
    db.execute_batch(SCHEMA)?;
    for kind in scope.exportable() {
        db.execute("INSERT OR IGNORE INTO wanted VALUES (?)", [code(kind)])?;
    }
    let mut cohort = Cohort::default();
    if is_bounded(scope) {
        cohort = gather(db, scope)?;
        db.execute_batch(
            "INSERT OR IGNORE INTO picks SELECT m.kind, m.place FROM cohort c
                 CROSS JOIN wanted w CROSS JOIN members m
                 ON m.patient = c.patient AND m.kind = w.kind ORDER BY 1, 2;
             CREATE TEMP TABLE first AS SELECT DISTINCT r.kind, r.place FROM cohort c
                 CROSS JOIN wanted w CROSS JOIN reach r ON r.patient = c.patient AND r.via = w.kind
                 WHERE +r.kind IN (SELECT kind FROM wanted);",
        )?;
    } else {
        db.execute_batch(
            "CREATE TEMP TABLE first AS SELECT DISTINCT r.kind, r.place FROM wanted w
                 CROSS JOIN reach_all r ON r.via = w.kind
                 WHERE +r.kind IN (SELECT kind FROM wanted);",
        )?;
    }
    db.execute_batch(SECOND_WAVE)?;
    db.execute(
        "INSERT INTO notes VALUES (?, ?, ?)",
        params![cohort.missing, cohort.others, cohort.lost_groups],
    )?;
    db.execute_batch("COMMIT")?;
    Ok(cohort)
}
