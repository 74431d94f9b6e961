//! The tables of the index, and how resources get into them.
//!
//! `entries` has a row for every resource, in the order of the folder within each type; its key
//! is the type and the place. What only the load needs lies in `stage`, a database of its own
//! that is deleted afterwards.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use sluice_fhir::facts::{Facts, GroupFacts, Target};
use sluice_fhir::{Instant, ResourceType};

use super::kinds::{ANY, code};
use super::place::place;

const SCHEMA: &str = "
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -16384;
-- home: 1 when it lies in the compartment of a patient of the folder, 2 when it names only
-- patients who are not there and so may be a stranger's, 0 when it is nobody's
CREATE TABLE entries (kind INT, place INT, at INT, len INT, updated INT, home INT, id TEXT,
    PRIMARY KEY (kind, place)) WITHOUT ROWID;
CREATE TABLE files (file INTEGER PRIMARY KEY, name TEXT, size INT, mtime INT, unpacked INT);
CREATE TABLE groups (place INTEGER PRIMARY KEY, id TEXT, active INT, name TEXT);
CREATE TABLE identifiers (place INT, system TEXT, value TEXT);
CREATE TABLE group_members (place INT, kind INT, id TEXT, starts TEXT, ends TEXT);
CREATE TABLE skips (file INT, reason TEXT, count INT, first INT);
CREATE TABLE totals (kind INTEGER PRIMARY KEY, resources INT, bytes INT, undated INT, newest INT,
    strangers INT);
-- which entries lie in the compartment of the patient at a place
CREATE TABLE members (patient INT, kind INT, place INT,
    PRIMARY KEY (patient, kind, place)) WITHOUT ROWID;
-- which entries outside every compartment those of a type in a patient's compartment refer to
CREATE TABLE reach (patient INT, via INT, kind INT, place INT,
    PRIMARY KEY (patient, via, kind, place)) WITHOUT ROWID;
CREATE TABLE reach_all (via INT, kind INT, place INT,
    PRIMARY KEY (via, kind, place)) WITHOUT ROWID;
-- references among entries outside every compartment
CREATE TABLE onward (from_kind INT, from_place INT, kind INT, place INT,
    PRIMARY KEY (from_kind, from_place, kind, place)) WITHOUT ROWID;
";

const STAGE: &str = "
PRAGMA stage.journal_mode = OFF; PRAGMA stage.synchronous = OFF;
PRAGMA stage.cache_size = -8192;
CREATE TABLE stage.targets (target INTEGER PRIMARY KEY, kind INT, id TEXT);
CREATE TABLE stage.names (kind INT, place INT, target INT, why INT);
";

/// Nobody's: it may come along when somebody's resource refers to it.
pub(super) const NOBODY: i64 = 0;
/// Somebody's who is in the folder.
pub(super) const HOME: i64 = 1;
/// Perhaps somebody's who is not.
pub(super) const STRANGER: i64 = 2;

/// Why a resource names another: it lies in the patient's compartment.
pub(super) const PATIENT: i64 = 0;
/// It refers to it.
pub(super) const REFERS: i64 = 1;
/// It is a Provenance about it.
pub(super) const ABOUT: i64 = 2;

/// Targets remembered while loading; resources near each other name the same ones.
const REMEMBERED: usize = 100_000;

/// A line that holds a resource.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) at: u64,
    pub(super) len: usize,
    pub(super) facts: Facts,
}

/// Opens the index of a finished generation for reading.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Puts resources into the tables.
pub(super) struct Writer {
    pub(super) index: Connection,
    targets: HashMap<Target, i64>,
    last_target: i64,
    skips: HashMap<(usize, &'static str), (i64, u64)>,
}

impl Writer {
    /// Makes the tables and begins the one transaction of the load.
    pub(super) fn create(index: &Path, stage: &Path) -> rusqlite::Result<Self> {
        let db = Connection::open(index)?;
        db.execute_batch(SCHEMA)?;
        db.execute("ATTACH ? AS stage", [stage.to_string_lossy()])?;
        db.execute_batch(STAGE)?;
        db.execute_batch("BEGIN")?;
        Ok(Self {
            index: db,
            targets: HashMap::new(),
            last_target: 0,
            skips: HashMap::new(),
        })
    }

    pub(super) fn add(&mut self, file: usize, row: &Row) -> rusqlite::Result<()> {
        let (facts, place) = (&row.facts, place(file, row.line));
        let kind = code(facts.kind);
        self.index
            .prepare_cached("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                kind,
                place,
                i64::try_from(row.at).unwrap_or(i64::MAX),
                i64::try_from(row.len).unwrap_or(i64::MAX),
                facts.updated.map(Instant::nanos),
                if facts.kind == ResourceType::PATIENT {
                    HOME
                } else if facts.patients.is_empty() && !facts.names_somebody {
                    NOBODY
                } else {
                    // Until it is known who is there.
                    STRANGER
                },
                facts.id,
            ])?;
        for (targets, why) in [
            (&facts.patients, PATIENT),
            (&facts.references, REFERS),
            (&facts.subjects, ABOUT),
        ] {
            for target in targets {
                let target = self.target(target)?;
                self.index
                    .prepare_cached("INSERT INTO stage.names VALUES (?, ?, ?, ?)")?
                    .execute([kind, place, target, why])?;
            }
        }
        match &facts.group {
            Some(group) => self.add_group(place, &facts.id, group),
            None => Ok(()),
        }
    }

    fn target(&mut self, target: &Target) -> rusqlite::Result<i64> {
        if let Some(number) = self.targets.get(target) {
            return Ok(*number);
        }
        if self.targets.len() >= REMEMBERED {
            self.targets.clear();
        }
        self.last_target += 1;
        self.index
            .prepare_cached("INSERT INTO stage.targets VALUES (?, ?, ?)")?
            .execute(params![self.last_target, number(target.kind), target.id])?;
        self.targets.insert(target.clone(), self.last_target);
        Ok(self.last_target)
    }

    fn add_group(&self, place: i64, id: &str, group: &GroupFacts) -> rusqlite::Result<()> {
        self.index
            .prepare_cached("INSERT INTO groups VALUES (?, ?, ?, ?)")?
            .execute(params![place, id, group.active, group.name.to_lowercase()])?;
        for (system, value) in &group.identifiers {
            self.index
                .prepare_cached("INSERT INTO identifiers VALUES (?, ?, ?)")?
                .execute(params![place, system, value])?;
        }
        for member in &group.members {
            let (kind, id) = match &member.entity {
                Some(entity) => (number(entity.kind), entity.id.as_str()),
                None => (ANY, ""),
            };
            self.index
                .prepare_cached("INSERT INTO group_members VALUES (?, ?, ?, ?, ?)")?
                .execute(params![place, kind, id, member.start, member.end])?;
        }
        Ok(())
    }

    /// Counts a line that is left out.
    pub(super) fn skip(&mut self, file: usize, line: u64, reason: &'static str) {
        let skip = self.skips.entry((file, reason));
        let (count, first) = skip.or_insert((0, line));
        *count += 1;
        *first = line.min(*first);
    }

    /// Writes down what was left out, and ends the transaction.
    pub(super) fn finish(&mut self) -> rusqlite::Result<()> {
        for ((file, reason), (count, first)) in self.skips.drain() {
            let (file, first) = (i64::try_from(file), i64::try_from(first));
            self.index.execute(
                "INSERT INTO skips VALUES (?, ?, ?, ?)",
                params![file.unwrap_or(0), reason, count, first.unwrap_or(0)],
            )?;
        }
        self.index.execute_batch("COMMIT")
    }
}

fn number(kind: Option<ResourceType>) -> i64 {
    kind.map_or(ANY, code)
}
