//! Writes a batch of changes in one transaction.
//!
//! A writer announces itself before its transaction (`sluice.writer`) and takes that back within it.
//! Whoever fixes the time of an export in between sees the announcement and stays below it, so nothing
//! that commits later is older than an export that could not see it (fault T9). It holds a lock as long as
//! it lives, so what a crash left is known and removed by the next load; should a writer be alive after
//! all, it finds its announcement gone and does not commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_fhir::facts::Target;
use sluice_ports::{PortError, PortKind};
use tokio_postgres::types::Type;

use super::change::{Change, Put, settle};
use super::filling::{Death, Filling, Living, Named, leads_on};
use super::names::Names;
use super::rows::{GroupRows, group_rows};
use super::tables::{
    Also, copy_resources, insert_about, insert_links, insert_onward, insert_volumes, number_rows,
};
use crate::failure::{failed, is_conflict};
use crate::kinds::{ANY, Kinds};
use crate::migrate;
use crate::options::PostgresOptions;
use crate::pool::{Connections, Purpose, Session};
use crate::provenance::SOMEBODYS;
use crate::range::{FOLLOWS, NOBODY};

const WRITING: &str = "writing a batch";
/// Tries of a batch that others get in the way of.
const TRIES: u32 = 50;
/// The locks of writers, beside what others may lock in the same database.
const LOCKS: i64 = 7_164_873_391_000_000;
/// The time of death of what lives.
const NEVER: i64 = i64::MAX;
const CLOCK: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000";

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Resources that were not there.
    pub new: u64,
    /// Resources of which this is a newer version.
    pub replaced: u64,
    /// Resources that were there just so.
    pub unchanged: u64,
    /// Versions that say they are older than what is there, and copies within a batch.
    pub outdated: u64,
    /// Resources deleted.
    pub deleted: u64,
    /// Deletions of what was not there.
    pub absent: u64,
    /// Bytes of new and replaced resources.
    pub bytes: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, more: Self) {
        self.new += more.new;
        self.replaced += more.replaced;
        self.unchanged += more.unchanged;
        self.outdated += more.outdated;
        self.deleted += more.deleted;
        self.absent += more.absent;
        self.bytes += more.bytes;
    }
}

/// Writes resources into a database.
#[derive(Clone)]
pub struct Writer {
    connections: Connections,
    /// Apart, for writers announce themselves while they hold one of the others.
    announcing: Connections,
    kinds: Arc<Kinds>,
    names: Arc<Names>,
    backdate: bool,
}

/// Lines to be written together.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) changes: Vec<Change>,
}

impl Batch {
    /// Of lines of NDJSON; a line that holds no resource is an error that says why.
    pub fn of_lines(lines: &[&str]) -> Result<Self, super::Rejected> {
        let (mut changes, mut first) = (Vec::new(), None);
        for line in lines {
            let line = Bytes::copy_from_slice(line.as_bytes());
            super::change::read(&line, &mut changes, &mut |why| {
                first.get_or_insert(why);
            });
        }
        first.map_or(Ok(Self { changes }), Err)
    }

    /// Deletes a resource after what came before.
    #[must_use]
    pub fn deleting(mut self, kind: ResourceType, id: &str) -> Self {
        self.changes.push(Change::Delete(kind, id.to_owned()));
        self
    }
}

/// A batch that is written and not yet committed.
pub struct Pending {
    session: Session,
    announcement: i64,
    written: Written,
}

impl Pending {
    /// Commits it.
    pub async fn commit(self) -> Result<Written, PortError> {
        let taken = self
            .session
            .execute_typed(
                "DELETE FROM sluice.writer WHERE number = $1",
                &[(&self.announcement, Type::INT8)],
            )
            .await
            .map_err(failed(WRITING))?;
        if taken != 1 {
            self.session.undo().await?;
            return Err(PortError::transient(
                WRITING,
                "it took so long that it was given up by others",
            ));
        }
        self.session.done().await?;
        Ok(self.written)
    }
}

/// Why a try of a batch did not work.
enum Failure {
    /// Somebody else wrote the same.
    Conflict,
    Failed(PortError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

fn tried(error: tokio_postgres::Error) -> Failure {
    if is_conflict(&error) {
        Failure::Conflict
    } else {
        Failure::Failed(failed(WRITING)(error))
    }
}

impl Writer {
    /// Connects. `backdate` takes a resource's own `meta.lastUpdated` for the time at which it came:
    /// for filling a database from which nothing was exported yet.
    pub async fn connect(options: &PostgresOptions, backdate: bool) -> Result<Self, PortError> {
        let connections = Connections::open(options)?;
        let session = connections.begin(Purpose::Ask).await?;
        migrate::check(&session).await?;
        let kinds = Kinds::read(&session).await?;
        session.done().await?;
        let announcing = PostgresOptions {
            connections: 2,
            ..options.clone()
        };
        let writer = Self {
            connections,
            announcing: Connections::open(&announcing)?,
            kinds: Arc::new(kinds),
            names: Arc::default(),
            backdate,
        };
        writer.forget_the_dead().await?;
        Ok(writer)
    }

    /// Removes announcements of writers that are no more.
    pub(super) async fn forget_the_dead(&self) -> Result<(), PortError> {
        let session = self.connections.begin(Purpose::Write).await?;
        let sql = format!(
            "DELETE FROM sluice.writer WHERE number IN (SELECT number FROM sluice.writer \
             WHERE pg_try_advisory_xact_lock({LOCKS} + number) FOR UPDATE SKIP LOCKED)"
        );
        let removed = session.execute_typed(&sql, &[]).await;
        removed.map_err(failed("looking for writers that died"))?;
        session.done().await
    }

    /// Sums the volumes up, which grow by a row for each batch.
    pub(super) async fn sum_up(&self) -> Result<(), PortError> {
        let session = self.connections.begin(Purpose::Write).await?;
        let sql = "WITH gone AS (DELETE FROM sluice.volume RETURNING *) \
             INSERT INTO sluice.volume SELECT kind, bucket, sum(resources), sum(bytes) FROM gone \
             GROUP BY kind, bucket HAVING sum(resources) <> 0 OR sum(bytes) <> 0";
        let done = session.execute_typed(sql, &[]).await;
        done.map_err(failed("summing up the volumes"))?;
        session.done().await?;
        // What was loaded at once is otherwise unknown to the planner for a while.
        let session = self.connections.session().await?;
        let analyzed = session
            .batch_execute("ANALYZE sluice.resource, sluice.link, sluice.name, sluice.onward, sluice.about, sluice.also, sluice.member")
            .await;
        analyzed.map_err(failed("gathering statistics"))?;
        session.release();
        Ok(())
    }

    /// Writes a batch and commits it.
    pub async fn write(&self, batch: Batch) -> Result<Written, PortError> {
        self.begin(batch).await?.commit().await
    }

    /// Writes a batch up to but without the commit.
    pub async fn begin(&self, batch: Batch) -> Result<Pending, PortError> {
        let (mut changes, gave_way) = settle(batch.changes);
        // Everyone in the same order, so that two batches wait for each other rather than both.
        changes.sort_by(|a, b| a.key().cmp(&b.key()));
        for _ in 0..TRIES {
            let named = self.number(&changes).await?;
            let session = self.connections.begin(Purpose::Write).await?;
            let announcement = self.announce(&session).await?;
            match self.attempt(&changes, &named, session, announcement).await {
                Ok(mut pending) => {
                    pending.written.outdated += gave_way;
                    return Ok(pending);
                }
                Err(Failure::Conflict) => self.renounce(announcement).await?,
                Err(Failure::Failed(error)) => {
                    // Where this fails too, the announcement is forgotten after a while.
                    let _told_by_the_first = self.renounce(announcement).await;
                    return Err(error);
                }
            }
        }
        Err(PortError::new(
            PortKind::Transient,
            "writing a batch: others write the same resources all the time",
        ))
    }

    /// Locks a number in the transaction that is going to write, and tells it to everyone from another.
    async fn announce(&self, writing: &Session) -> Result<i64, PortError> {
        let failed = || failed("announcing a writer");
        let sql = "SELECT nextval(pg_get_serial_sequence('sluice.writer', 'number'))";
        let row = writing.query_typed_one(sql, &[]).await;
        let number: i64 = row.map_err(failed())?.get(0);
        let lock = format!("SELECT pg_advisory_xact_lock({LOCKS} + $1)");
        let locked = writing.query_typed(&lock, &[(&number, Type::INT8)]).await;
        locked.map_err(failed())?;
        let session = self.announcing.begin(Purpose::Write).await?;
        let sql = format!(
            "INSERT INTO sluice.writer (number, since) OVERRIDING SYSTEM VALUE VALUES ($1, {CLOCK})"
        );
        let told = session.execute_typed(&sql, &[(&number, Type::INT8)]).await;
        told.map_err(failed())?;
        session.done().await?;
        Ok(number)
    }

    async fn renounce(&self, announcement: i64) -> Result<(), PortError> {
        let session = self.announcing.begin(Purpose::Write).await?;
        let sql = "DELETE FROM sluice.writer WHERE number = $1";
        let removed = session
            .execute_typed(sql, &[(&announcement, Type::INT8)])
            .await;
        removed.map_err(failed("renouncing a writer"))?;
        session.done().await
    }

    async fn attempt(
        &self,
        changes: &[Change],
        named: &Named,
        session: Session,
        announcement: i64,
    ) -> Result<Pending, Failure> {
        let done = self.fill(&session, changes, named).await;
        match done {
            Ok(written) => Ok(Pending {
                session,
                announcement,
                written,
            }),
            Err(Failure::Conflict) => {
                session.undo().await?;
                Err(Failure::Conflict)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Numbers everyone and everything that the changes name; that is committed apart.
    async fn number(&self, changes: &[Change]) -> Result<Named, PortError> {
        let puts = || {
            changes.iter().filter_map(|change| match change {
                Change::Put(put) => Some(&**put),
                Change::Delete(..) => None,
            })
        };
        let mut seen = std::collections::HashSet::new();
        let mut patients = Vec::new();
        for put in puts() {
            let members = put.group.iter().flat_map(|group| &group.members);
            let members = members.filter_map(|member| member.entity.as_ref());
            let members = members
                .filter(|target| target.kind == Some(ResourceType::PATIENT))
                .map(|target| target.id.as_str());
            for id in put.patients.iter().map(String::as_str).chain(members) {
                if seen.insert(id) {
                    patients.push(id);
                }
            }
        }
        let mut things = std::collections::HashSet::new();
        for put in puts() {
            things.extend(put.references.iter().map(|target| self.thing(target)));
            if !put.references.is_empty() && leads_on(put) {
                things.insert((self.kinds.code(put.kind), put.id.clone()));
            }
        }
        let session = self.connections.session().await?;
        let patients = self.names.patients(&session, &patients).await?;
        let things = self.names.things(&session, things.into_iter()).await?;
        session.release();
        Ok(Named { patients, things })
    }

    /// What a Provenance is about: each once.
    fn subjects(&self, put: &Put) -> impl Iterator<Item = (i16, String)> {
        let patient = self.kinds.code(ResourceType::PATIENT);
        let mut subjects = std::collections::BTreeSet::new();
        subjects.extend(put.subjects.iter().map(|target| self.thing(target)));
        subjects.extend(put.patients.iter().map(|id| (patient, id.clone())));
        if put.names_somebody {
            subjects.insert((SOMEBODYS, String::new()));
        }
        subjects.into_iter()
    }

    fn thing(&self, target: &Target) -> (i16, String) {
        let kind = target.kind.map_or(ANY, |kind| self.kinds.code(kind));
        (kind, target.id.clone())
    }

    async fn fill(
        &self,
        session: &Session,
        changes: &[Change],
        named: &Named,
    ) -> Result<Written, Failure> {
        let living = self.living(session, changes).await?;
        // After that, so that whatever was seen came before; what was not seen is a conflict.
        let clock = session
            .query_typed_one(&format!("SELECT {CLOCK}"), &[])
            .await;
        let now: i64 = clock.map_err(tried)?.get(0);
        let mut batch = Filling::default();
        for change in changes {
            let (kind, id) = change.key();
            let code = self.kinds.code(kind);
            let living = living.get(&(code, id.to_owned()));
            let Change::Put(put) = change else {
                batch.delete(code, id, living, now);
                continue;
            };
            let born_at = match put.updated {
                Some(updated) if self.backdate => updated.min(now),
                _ => now,
            };
            batch.put(code, put, living, (born_at, &named.patients));
        }
        batch.sort();
        self.bury(session, &batch.deaths).await?;
        self.keep(session, &mut batch, named).await?;
        Ok(batch.written)
    }

    /// The living versions of what the changes are about.
    async fn living(
        &self,
        session: &Session,
        changes: &[Change],
    ) -> Result<HashMap<(i16, String), Living>, Failure> {
        let mut ids: BTreeMap<i16, Vec<&str>> = BTreeMap::new();
        for change in changes {
            let (kind, id) = change.key();
            ids.entry(self.kinds.code(kind)).or_default().push(id);
        }
        let mut living = HashMap::new();
        for (code, ids) in ids {
            let sql = format!(
                "SELECT r.id, r.row, r.owner, r.size, r.updated, r.digest FROM sluice.resource r \
                 WHERE r.kind = {code} AND r.id = ANY($1) AND r.died_at = {NEVER}"
            );
            let rows = session
                .query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)])
                .await
                .map_err(tried)?;
            for row in rows {
                let version = Living {
                    row: row.get(1),
                    owner: row.get(2),
                    size: i64::from(row.get::<_, i32>(3)) + 1,
                    updated: row.get(4),
                    digest: row.get(5),
                };
                living.insert((code, row.get(0)), version);
            }
        }
        Ok(living)
    }

    /// Ends versions. Fewer than expected: somebody else has ended one meanwhile.
    async fn bury(
        &self,
        session: &Session,
        deaths: &BTreeMap<i16, Vec<Death>>,
    ) -> Result<(), Failure> {
        for (code, deaths) in deaths {
            let ids: Vec<&str> = deaths.iter().map(|death| death.id.as_str()).collect();
            let rows: Vec<i64> = deaths.iter().map(|death| death.row).collect();
            let times: Vec<i64> = deaths.iter().map(|death| death.at).collect();
            let sql = format!(
                "UPDATE sluice.resource r SET died = pg_current_xact_id(), died_at = d.at \
                 FROM unnest($1, $2, $3) d (id, row, at) WHERE r.kind = {code} AND r.id = d.id \
                 AND r.row = d.row AND r.died_at = {NEVER}"
            );
            let buried = session
                .execute_typed(
                    &sql,
                    &[
                        (&ids, Type::TEXT_ARRAY),
                        (&rows, Type::INT8_ARRAY),
                        (&times, Type::INT8_ARRAY),
                    ],
                )
                .await
                .map_err(tried)?;
            if usize::try_from(buried) != Ok(deaths.len()) {
                return Err(Failure::Conflict);
            }
        }
        Ok(())
    }

    /// Puts versions into the tables, and what finds them.
    async fn keep(
        &self,
        session: &Session,
        batch: &mut Filling<'_>,
        named: &Named,
    ) -> Result<(), Failure> {
        number_rows(session, &mut batch.rows).await.map_err(tried)?;
        copy_resources(session, &batch.rows).await.map_err(tried)?;
        let mut also = Also::default();
        let (mut links, mut onward) = (Vec::new(), Vec::new());
        let mut about: Vec<(i64, &str, i16, String)> = Vec::new();
        let mut groups = GroupRows::default();
        for row in &batch.rows {
            let put = row.put;
            for patient in row.others.iter().flatten() {
                also.push(*patient, row);
            }
            let targets = put.references.iter();
            let targets = targets.filter_map(|target| named.things.get(&self.thing(target)));
            if leads_on(put) {
                let source = named.things.get(&(row.kind, put.id.clone()));
                onward.extend(
                    targets
                        .filter_map(|target| source.map(|source| (*source, *target, row.born_at))),
                );
            } else if row.owner > NOBODY {
                for target in targets {
                    let own = std::iter::once(row.owner);
                    for patient in own.chain(row.others.iter().flatten().copied()) {
                        links.push((patient, *target, row.kind, row.born_at));
                    }
                }
            }
            if row.owner == FOLLOWS {
                about.extend(
                    self.subjects(put)
                        .map(|(kind, id)| (row.row, &*put.id, kind, id)),
                );
            }
            if let Some(group) = &put.group {
                group_rows(&mut groups, row.row, &put.id, group, &named.patients);
            }
        }
        also.insert(session).await.map_err(tried)?;
        insert_links(session, links).await.map_err(tried)?;
        insert_onward(session, onward).await.map_err(tried)?;
        insert_about(session, &about).await.map_err(tried)?;
        groups.insert(session).await.map_err(tried)?;
        insert_volumes(session, &batch.volumes).await.map_err(tried)
    }
}
