//! A folder of FHIR R4 NDJSON files as a source.
//!
//! Opening it reads every file once and keeps an index of where each resource is, whose it is
//! and what it refers to, in SQLite, so that no number of resources fills the memory. A folder
//! that has not changed is not read again.
//!
//! What is exported, where the standard leaves it open:
//! - A resource lies in the compartments of the Patients of the folder that it names at the paths
//!   of `sluice_fhir::compartment`, by `Patient/x`, the same behind `http(s)://…/`, a version of
//!   it, or `urn:uuid:x`. A Provenance follows what it is about.
//! - A resource that lies in no compartment comes along when an exported one refers to it, or when
//!   one that came along does, within the types asked for. `_since` and `_until` then decide about
//!   each resource by its own time. Nothing from the compartment of somebody who is not in the
//!   cohort ever comes along, nor does a Group.
//! - Each resource has one row in the index and slices are ranges of rows, so nothing leaves
//!   twice, in however many compartments it lies.
//! - Binary and `OperationOutcome` lines are left out and told; a Bundle or Parameters is an error,
//!   for resources would hide in it.

mod cohort;
mod error;
mod failure;
mod fingerprint;
mod generation;
mod groups;
mod kinds;
mod lines;
mod load;
mod options;
mod picks;
mod place;
mod plan;
mod read;
mod remarks;
mod resolve;
mod tables;
mod view;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use rusqlite::Connection;
use sluice_fhir::{Issue, Level};
use sluice_model::{Scope, Slice, Snapshot};
use sluice_ports::{
    BlockStream, ByteStream, Clock, GroupPage, GroupQuery, PlanStep, PopulationError, PortError,
    Source, blocks_of,
};

pub use self::error::LoadError;
pub use self::generation::Catalog;
pub use self::load::LoadProgress;
pub use self::options::{InvalidAddress, NdjsonOptions, Undated};

use self::failure::{LOADING, blocking, changed, index, load};
use self::fingerprint::{fingerprint, survey};
use self::generation::Generation;
use self::picks::{attach, ensure};
use self::view::View;
use crate::lock;

/// A folder of NDJSON files.
#[derive(Clone)]
pub struct NdjsonSource {
    shared: Arc<Shared>,
}

struct Shared {
    options: NdjsonOptions,
    clock: Arc<dyn Clock>,
    current: Mutex<Arc<Generation>>,
    /// Older states that exports still read.
    older: Mutex<Vec<Arc<Generation>>>,
    /// The state of the folder that could not be loaded, and why, so that it is not tried again.
    failed: Mutex<Option<(String, String)>>,
    /// Held while looking for changes, so that one thread loads.
    reload: Mutex<()>,
    /// Held while working out what a scope takes.
    picking: Mutex<()>,
    /// Held while Groups are read, which may be large.
    groups: Mutex<()>,
}

impl NdjsonSource {
    /// Opens a folder, reading all of it if it was not read before. Blocks until that is done.
    pub fn open(
        options: NdjsonOptions,
        clock: Arc<dyn Clock>,
        progress: impl Fn(LoadProgress) + Send + Sync,
    ) -> Result<Self, LoadError> {
        let generation = Generation::open(&options, &progress)?;
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                clock,
                current: Mutex::new(Arc::new(generation)),
                older: Mutex::default(),
                failed: Mutex::default(),
                reload: Mutex::default(),
                picking: Mutex::default(),
                groups: Mutex::default(),
            }),
        })
    }

    /// What the folder holds.
    pub fn catalog(&self) -> Catalog {
        self.shared.generation().catalog.clone()
    }
}

impl Shared {
    fn generation(&self) -> Arc<Generation> {
        Arc::clone(&lock(&self.current))
    }

    /// The state that the folder is in now, loaded if need be.
    fn refresh(&self) -> Result<Arc<Generation>, PortError> {
        let _turn = lock(&self.reload);
        let known = self.generation();
        let survey = survey(&self.options).map_err(load)?;
        let now = fingerprint(&self.options, &survey.found);
        if known.id == now && known.is_there() {
            return Ok(known);
        }
        if let Some((state, reason)) = &*lock(&self.failed)
            && *state == now
        {
            return Err(PortError::transient(LOADING, reason.clone()));
        }
        tracing::info!(generation = %known.id, "the data folder changed, loading it again");
        let fresh = match Generation::open(&self.options, &|_| {}) {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                let stays = error.is_of_the_content();
                let error = load(error);
                tracing::error!(error = error.chain(), "the data folder cannot be loaded");
                *lock(&self.failed) = stays.then(|| (now, error.chain()));
                return Err(error);
            }
        };
        *lock(&self.failed) = None;
        *lock(&self.current) = Arc::clone(&fresh);
        Ok(fresh)
    }

    /// The state that a snapshot saw, if it can still be read.
    fn pinned(&self, snapshot: &Snapshot) -> Result<Arc<Generation>, PortError> {
        let known = self.generation();
        if known.id == snapshot.token && known.is_there() {
            return Ok(known);
        }
        if let Some(older) = self.older(&snapshot.token) {
            return Ok(older);
        }
        let fresh = self.refresh()?;
        if fresh.id == snapshot.token {
            Ok(fresh)
        } else {
            Err(changed())
        }
    }

    /// An older state, if its index is there; whether its files are, shows when they are read.
    fn older(&self, token: &str) -> Option<Arc<Generation>> {
        let mut older = lock(&self.older);
        older.retain(|generation| generation.is_there());
        if let Some(found) = older.iter().find(|generation| generation.id == token) {
            return Some(Arc::clone(found));
        }
        let is_name = token.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = is_name.then(|| Generation::read(&self.options, token).ok())?;
        let found = Arc::new(found?);
        older.push(Arc::clone(&found));
        Some(found)
    }

    /// Reads Groups from the state at hand: to ask for a Group is no reason to load anything,
    /// unless that state is gone.
    fn of_groups<T>(
        &self,
        read: impl Fn(&Generation) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let _bounds_memory = lock(&self.groups);
        match read(&self.generation()) {
            Ok(read) => Ok(read),
            Err(_) => read(&*self.refresh()?),
        }
    }

    fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        let generation = self.pinned(&scope.snapshot)?;
        let db = Connection::open("").map_err(index)?;
        attach(&db, &generation.index_path()).map_err(index)?;
        if let Level::Group(id) = &scope.level
            && cohort::find_group(&db, id).map_err(index)?.is_none()
        {
            return Err(PopulationError::UnknownGroup);
        }
        if scope.patients.is_none() {
            return Ok(());
        }
        let table = "CREATE TABLE cohort (patient INTEGER PRIMARY KEY); BEGIN";
        db.execute_batch(table).map_err(index)?;
        let cohort = cohort::gather(&db, scope).map_err(index)?;
        if cohort.unknown.is_empty() {
            Ok(())
        } else {
            Err(PopulationError::UnknownPatients(cohort.unknown))
        }
    }

    fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError> {
        let generation = self.pinned(&scope.snapshot)?;
        let picks = if scope.is_whole() {
            None
        } else {
            Some(ensure(&generation, scope, &self.picking)?)
        };
        remarks::remarks(&generation, scope, self.options.undated, picks.as_deref()).map_err(index)
    }

    fn read(&self, scope: &Scope, slice: &Slice, outlet: &read::Outlet) -> Result<(), PortError> {
        let generation = self.pinned(&scope.snapshot)?;
        let view = View::open(&generation, scope, &self.picking)?;
        read::slice(&view, &generation, &scope.exportable(), slice, outlet)
    }
}

#[async_trait]
impl Source for NdjsonSource {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let generation = shared.refresh()?;
            Ok(Snapshot {
                time: shared.clock.now().floor_to_millis(),
                token: generation.id.clone(),
            })
        })
        .await
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        let (shared, scope) = (Arc::clone(&self.shared), scope.clone());
        blocking(move || shared.check(&scope)).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        let (shared, query) = (Arc::clone(&self.shared), query.clone());
        blocking(move || shared.of_groups(|generation| groups::search(generation, &query))).await
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        let (shared, id) = (Arc::clone(&self.shared), id.to_owned());
        let found = blocking(move || {
            let mut generation = shared.generation();
            let mut found = groups::find(&generation, &id);
            if found.is_err() {
                generation = shared.refresh()?;
                found = groups::find(&generation, &id);
            }
            Ok::<_, PortError>(found?.map(|found| (found, generation)))
        });
        Ok(found
            .await?
            .map(|found| futures::stream::unfold(Some(found), next_piece).boxed()))
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let (shared, scope) = (Arc::clone(&self.shared), scope.clone());
        let cursor = cursor.map(str::to_owned);
        blocking(move || {
            let generation = shared.pinned(&scope.snapshot)?;
            let view = View::open(&generation, &scope, &shared.picking)?;
            plan::step(&view, &scope.exportable(), target, limit, cursor.as_deref())
        })
        .await
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError> {
        let (shared, scope) = (Arc::clone(&self.shared), scope.clone());
        blocking(move || shared.remarks(&scope)).await
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        let shared = Arc::clone(&self.shared);
        let (scope, slice) = (scope.clone(), slice.clone());
        let reader = |outlet| blocking(move || shared.read(&scope, &slice, &outlet));
        Ok(blocks_of("reading the data folder", reader))
    }
}

type GroupReading = (groups::Found, Arc<Generation>);

async fn next_piece(
    reading: Option<GroupReading>,
) -> Option<(Result<Bytes, PortError>, Option<GroupReading>)> {
    let (mut found, generation) = reading?;
    let read = blocking(move || {
        let piece = found.next(&generation)?;
        Ok::<_, PortError>(piece.map(|piece| (piece, found, generation)))
    });
    match read.await {
        Ok(Some((piece, found, generation))) => Some((Ok(piece), Some((found, generation)))),
        Ok(None) => None,
        Err(error) => Some((Err(error), None)),
    }
}
