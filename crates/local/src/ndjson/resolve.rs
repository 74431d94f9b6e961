//! After the last line: who is whose, and what leads where.

use rusqlite::{Connection, OptionalExtension, params};
use sluice_fhir::{ResourceType, compartment};

use super::error::{DUPLICATE, LoadError};
use super::fingerprint::Found;
use super::kinds::{ANY, code};
use super::place::{file_of, line_of};
use super::tables::{ABOUT, HOME, NOBODY, PATIENT, REFERS, STRANGER};

/// Finds resources that are there twice. Lenient: keeps the copy with the latest time, of those
/// the last.
pub(super) fn duplicates(db: &Connection, files: &[Found], lenient: bool) -> Result<(), LoadError> {
    db.execute_batch("CREATE INDEX entries_by_id ON entries (kind, id)")?;
    let pair = db
        .query_row(
            "SELECT min(place), max(place) FROM entries GROUP BY kind, id HAVING count(*) > 1
             ORDER BY min(place) LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((first, second)) = pair else {
        return Ok(());
    };
    if !lenient {
        return Err(LoadError::Duplicate {
            first: spot(files, first),
            second: spot(files, second),
        });
    }
    db.execute_batch(
        "CREATE TABLE stage.losers (kind INT, place INT, PRIMARY KEY (kind, place)) WITHOUT ROWID;
         INSERT INTO stage.losers SELECT kind, place FROM (
             SELECT kind, place, row_number() OVER (PARTITION BY kind, id
                 ORDER BY updated DESC NULLS LAST, place DESC) AS n
             FROM entries) WHERE n > 1;
         DELETE FROM entries WHERE (kind, place) IN (SELECT kind, place FROM stage.losers);
         DELETE FROM stage.names WHERE (kind, place) IN (SELECT kind, place FROM stage.losers);
         DELETE FROM groups WHERE place IN (SELECT place FROM stage.losers);
         DELETE FROM identifiers WHERE place IN (SELECT place FROM stage.losers);
         DELETE FROM group_members WHERE place IN (SELECT place FROM stage.losers);",
    )?;
    let mut losers =
        db.prepare("SELECT place / (1 << 40), count(*), min(place) FROM stage.losers GROUP BY 1")?;
    let mut rows = losers.query([])?;
    while let Some(row) = rows.next()? {
        let (file, count, first): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        db.execute(
            "INSERT INTO skips VALUES (?, ?, ?, ?)",
            params![file, DUPLICATE, count, line_of(first)],
        )?;
    }
    Ok(())
}

fn spot(files: &[Found], place: i64) -> String {
    let file = files.get(file_of(place)).map_or("?", |file| &file.name);
    format!("{file}:{}", line_of(place))
}

/// Fills the tables that say who is whose.
pub(super) fn resolve(db: &Connection) -> rusqlite::Result<()> {
    find_targets(db)?;
    find_homes(db)?;
    follow_provenance(db)?;
    find_ways(db)
}

/// Which resources the targets are. CROSS JOIN keeps SQLite to the written order of the joins.
/// Sorting and ignoring what is there already is faster than DISTINCT, which looks up a tree for
/// every row.
fn find_targets(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "CREATE TABLE stage.found (target INT, kind INT, place INT,
             PRIMARY KEY (target, kind, place)) WITHOUT ROWID;
         INSERT INTO stage.found SELECT t.target, e.kind, e.place
             FROM stage.targets t CROSS JOIN entries e ON e.kind = t.kind AND e.id = t.id;
         INSERT INTO stage.found SELECT t.target, e.kind, e.place
             FROM stage.targets t CROSS JOIN (SELECT DISTINCT kind FROM entries) k
             CROSS JOIN entries e ON e.kind = k.kind AND e.id = t.id WHERE t.kind = {ANY};"
    ))
}

fn find_homes(db: &Connection) -> rusqlite::Result<()> {
    let patient = code(ResourceType::PATIENT);
    db.execute_batch(&format!(
        "CREATE TABLE stage.homes (kind INT, place INT, patient INT,
             PRIMARY KEY (kind, place, patient)) WITHOUT ROWID;
         INSERT INTO stage.homes SELECT {patient}, place, place FROM entries WHERE kind = {patient};
         INSERT OR IGNORE INTO stage.homes SELECT n.kind, n.place, f.place
             FROM stage.names n CROSS JOIN stage.found f ON f.target = n.target
             WHERE n.why = {PATIENT} AND f.kind = {patient};
         UPDATE entries SET home = {HOME} WHERE home = {STRANGER} AND EXISTS (SELECT 1
             FROM stage.homes h WHERE h.kind = entries.kind AND h.place = entries.place);"
    ))
}

/// A Provenance is whose what it is about is, and there may be another about that one.
fn follow_provenance(db: &Connection) -> rusqlite::Result<()> {
    let provenance = "Provenance".parse().map_or(ANY, code);
    let somebodys = ResourceType::all().filter(|kind| compartment::contains(*kind));
    let somebodys: Vec<String> = somebodys.map(|kind| code(kind).to_string()).collect();
    let somebodys = somebodys.join(", ");
    db.execute_batch(&format!(
        "CREATE TABLE stage.about AS SELECT n.place, f.kind AS target_kind, f.place AS target
             FROM stage.names n CROSS JOIN stage.found f ON f.target = n.target
             WHERE n.why = {ABOUT};
         -- What it is about is not there, and may have been somebody's.
         UPDATE entries SET home = {STRANGER} WHERE kind = {provenance} AND home = {NOBODY}
             AND place IN (SELECT n.place FROM stage.names n CROSS JOIN stage.targets t
                 ON t.target = n.target WHERE n.why = {ABOUT} AND t.kind IN ({somebodys})
                 AND NOT EXISTS (SELECT 1 FROM stage.found f WHERE f.target = n.target));"
    ))?;
    until_nothing_changes(
        db,
        &format!(
            "INSERT OR IGNORE INTO stage.homes SELECT {provenance}, a.place, h.patient
                 FROM stage.about a CROSS JOIN stage.homes h
                 ON h.kind = a.target_kind AND h.place = a.target"
        ),
    )?;
    db.execute_batch(&format!(
        "UPDATE entries SET home = {HOME} WHERE kind = {provenance} AND EXISTS (SELECT 1
             FROM stage.homes h WHERE h.kind = entries.kind AND h.place = entries.place)"
    ))?;
    until_nothing_changes(
        db,
        &format!(
            "UPDATE entries SET home = {STRANGER} WHERE kind = {provenance} AND home = {NOBODY}
                 AND place IN (SELECT a.place FROM stage.about a CROSS JOIN entries e
                     ON e.kind = a.target_kind AND e.place = a.target WHERE e.home = {STRANGER})"
        ),
    )
}

fn until_nothing_changes(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    while db.execute(sql, [])? > 0 {}
    Ok(())
}

/// What leads to what is nobody's, and from there on.
fn find_ways(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "INSERT INTO members SELECT patient, kind, place FROM stage.homes ORDER BY 1, 2, 3;
         CREATE TABLE stage.outside (target INT, kind INT, place INT,
             PRIMARY KEY (target, kind, place)) WITHOUT ROWID;
         INSERT INTO stage.outside SELECT f.target, f.kind, f.place FROM stage.found f
             CROSS JOIN entries e ON e.kind = f.kind AND e.place = f.place
             WHERE e.home = {NOBODY};
         INSERT OR IGNORE INTO reach SELECT h.patient, n.kind, o.kind, o.place
             FROM stage.names n CROSS JOIN stage.outside o ON o.target = n.target
             CROSS JOIN stage.homes h ON h.kind = n.kind AND h.place = n.place
             WHERE n.why = {REFERS} ORDER BY 1, 2, 3, 4;
         INSERT INTO reach_all SELECT DISTINCT via, kind, place FROM reach ORDER BY 1, 2, 3;
         INSERT OR IGNORE INTO onward SELECT n.kind, n.place, o.kind, o.place
             FROM stage.names n CROSS JOIN stage.outside o ON o.target = n.target
             CROSS JOIN entries e ON e.kind = n.kind AND e.place = n.place
             WHERE n.why = {REFERS} AND e.home = {NOBODY} ORDER BY 1, 2, 3, 4;
         INSERT INTO totals SELECT kind, count(*), sum(len + 1), sum(updated IS NULL),
             max(updated), sum(home = {STRANGER}) FROM entries GROUP BY kind;
         CREATE INDEX groups_by_id ON groups (id);
         CREATE INDEX group_members_by_group ON group_members (place);
         CREATE INDEX identifiers_by_value ON identifiers (value);"
    ))
}
