//! Which patients an export is about: the members of a Group at T, or those it names.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};
use sluice_fhir::facts::contains;
use sluice_fhir::{Instant, Level, ResourceType};
use sluice_model::Scope;

use super::kinds::code;

/// What was found while gathering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cohort {
    /// The Group is not there or not active.
    pub(super) no_group: bool,
    /// Patients asked for that do not exist or are not members.
    pub(super) unknown: Vec<String>,
    /// Members that name a Patient that does not exist.
    pub(super) missing: i64,
    /// Members that are no Patients, or named by nothing that can be followed.
    pub(super) others: i64,
    /// Members that name a Group that does not exist.
    pub(super) lost_groups: i64,
}

/// Whether the place of each patient must be known.
pub(super) fn is_bounded(scope: &Scope) -> bool {
    scope.patients.is_some() || matches!(scope.level, Level::Group(_))
}

/// Whether there is such a Group, and it is active.
pub(super) fn find_group(db: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT place FROM groups WHERE id = ? AND active")?
        .query_row([id], |row| row.get(0))
        .optional()
}

/// Fills `cohort (patient INTEGER PRIMARY KEY)` with the places of the patients. The connection
/// has the index among its databases.
pub(super) fn gather(db: &Connection, scope: &Scope) -> rusqlite::Result<Cohort> {
    let mut cohort = Cohort::default();
    let Level::Group(id) = &scope.level else {
        keep(db, scope, &mut cohort, "cohort")?;
        return Ok(cohort);
    };
    match find_group(db, id)? {
        Some(group) => {
            if scope.patients.is_some() {
                db.execute_batch("CREATE TEMP TABLE everyone (patient INTEGER PRIMARY KEY)")?;
                add_members(db, group, scope.snapshot.time, &mut cohort)?;
                db.execute_batch(
                    "INSERT INTO everyone SELECT patient FROM cohort; DELETE FROM cohort",
                )?;
                keep(db, scope, &mut cohort, "everyone")?;
                db.execute_batch("DROP TABLE everyone")?;
            } else {
                add_members(db, group, scope.snapshot.time, &mut cohort)?;
            }
        }
        None => cohort.no_group = true,
    }
    Ok(cohort)
}

/// Takes the patients asked for, if they are among the members.
fn keep(db: &Connection, scope: &Scope, cohort: &mut Cohort, among: &str) -> rusqlite::Result<()> {
    let patient = code(ResourceType::PATIENT);
    let mut find = db.prepare("SELECT place FROM entries WHERE kind = ? AND id = ?")?;
    let mut take = db.prepare("INSERT OR IGNORE INTO cohort VALUES (?)")?;
    let mut is_member = db.prepare(&format!("SELECT 1 FROM {among} WHERE patient = ?"))?;
    for id in scope.patients.iter().flatten() {
        let found = find.query_row(params![patient, id], |row| row.get(0));
        let place: Option<i64> = found.optional()?;
        match place {
            Some(place) if among == "cohort" || is_member.exists([place])? => {
                take.execute([place])?;
            }
            _ => cohort.unknown.push(id.clone()),
        }
    }
    Ok(())
}

/// Adds the members of a Group and of Groups that are members, each Group once.
fn add_members(
    db: &Connection,
    group: i64,
    time: Instant,
    cohort: &mut Cohort,
) -> rusqlite::Result<()> {
    let mut members = db.prepare(
        "SELECT m.kind, m.starts, m.ends, e.place FROM group_members m
         LEFT JOIN entries e ON e.kind = m.kind AND e.id = m.id WHERE m.place = ?",
    )?;
    let mut is_active = db.prepare("SELECT 1 FROM groups WHERE place = ? AND active")?;
    let mut take = db.prepare("INSERT OR IGNORE INTO cohort VALUES (?)")?;
    let (patient, nested) = (code(ResourceType::PATIENT), code(ResourceType::GROUP));
    let (mut seen, mut open) = (HashSet::from([group]), vec![group]);
    while let Some(group) = open.pop() {
        let mut rows = members.query([group])?;
        while let Some(row) = rows.next()? {
            let kind: i64 = row.get(0)?;
            let (start, end): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            if !contains(start.as_deref(), end.as_deref(), time) {
                continue;
            }
            match row.get::<_, Option<i64>>(3)? {
                Some(place) if kind == patient => {
                    take.execute([place])?;
                }
                Some(place) if kind == nested => {
                    if is_active.exists([place])? && seen.insert(place) {
                        open.push(place);
                    }
                }
                None if kind == patient => cohort.missing += 1,
                None if kind == nested => cohort.lost_groups += 1,
                _ => cohort.others += 1,
            }
        }
    }
    Ok(())
}
