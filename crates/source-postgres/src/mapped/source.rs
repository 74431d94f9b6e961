//! The port over a mapped relation.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sluice_fhir::{Instant, Issue, ResourceType};
use sluice_model::{Scope, Slice, Snapshot};
use sluice_ports::{
    Block, BlockStream, ByteStream, GroupPage, GroupQuery, Outlet, PlanStep, PopulationError,
    PortError, Source, blocks_of,
};
use tokio::sync::{Semaphore, mpsc};

use super::cohort::{self, Cohort};
use super::mapping::Mapping;
use super::plan::Cutter;
use super::read::Reader;
use super::relation::Relation;
use super::{columns, groups, remarks};
use crate::clock;
use crate::options::PostgresOptions;
use crate::pool::{Connections, PoolState, Purpose};
use crate::read::Stop;

/// A site's own table or view in a database. Only ever read.
#[derive(Clone)]
pub struct MappedSource {
    connections: Connections,
    relation: Arc<Relation>,
    reads: Arc<Semaphore>,
}

/// The state of the source that `job.json` keeps: there is none, and it is this kind of source's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    mapped: String,
}

impl MappedSource {
    /// Connects. A relation that is not what the mapping says is refused, with a
    /// [`MappingError`](super::MappingError) as the cause.
    pub async fn connect(options: &PostgresOptions, mapping: &Mapping) -> Result<Self, PortError> {
        let connections = Connections::open(options)?;
        let session = connections.begin(Purpose::Ask).await?;
        let relation = columns::check(&session, mapping).await?;
        session.done().await?;
        Ok(Self {
            connections,
            relation: Arc::new(relation),
            reads: Arc::new(Semaphore::new(options.reads.max(1))),
        })
    }

    /// What its connections are doing now.
    pub fn pool(&self) -> PoolState {
        self.connections.state()
    }

    /// Refuses a scope whose state another source fixed.
    fn own(&self, scope: &Scope) -> Result<(), PortError> {
        let foreign = |error| PortError::permanent("reading a snapshot of another source", error);
        let token: Token = serde_json::from_str(&scope.snapshot.token).map_err(foreign)?;
        if token.mapped == self.relation.name {
            return Ok(());
        }
        Err(PortError::permanent(
            "reading a snapshot",
            "it is of another relation",
        ))
    }

    async fn cohort(&self, scope: &Scope) -> Result<Cohort, PortError> {
        self.own(scope)?;
        let session = self.connections.begin(Purpose::Ask).await?;
        let cohort = Cohort::of(&session, &self.relation, scope).await?;
        session.done().await?;
        Ok(cohort)
    }

    async fn slice(
        self,
        scope: Scope,
        slice: Slice,
        sender: mpsc::Sender<Block>,
    ) -> Result<(), PortError> {
        let _turn = self.reads.acquire().await;
        let first = slice.types.first().copied();
        let mut reader = Reader {
            connections: &self.connections,
            relation: &self.relation,
            scope: &scope,
            cohort: &self.cohort(&scope).await?,
            outlet: Outlet::new(sender, first.unwrap_or(ResourceType::PATIENT)),
        };
        let read = if slice.deleted {
            reader.deleted(&slice.types).await
        } else {
            reader.slice(&slice).await
        };
        Stop::settle(read)
    }
}

/// T of a primary: before the present, and before everything that open transactions of this database
/// began to write, as far as they can be seen: what they commit later must be in the next export (T9).
const CLOCK: &str = "least(clock_timestamp(), (SELECT min(a.xact_start) - interval '1 microsecond' \
    FROM pg_catalog.pg_stat_activity a WHERE a.datname = current_database() \
    AND a.backend_xid IS NOT NULL))";

#[async_trait]
impl Source for MappedSource {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        const ACTION: &str = "fixing the time of an export";
        let session = self.connections.begin(Purpose::Ask).await?;
        let time = clock::time(&session, CLOCK, ACTION).await?;
        session.done().await?;
        let token = Token {
            mapped: self.relation.name.clone(),
        };
        let token =
            serde_json::to_string(&token).map_err(|error| PortError::permanent(ACTION, error))?;
        Ok(Snapshot {
            time: Instant::from_nanos(time).floor_to_millis(),
            token,
        })
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        self.own(scope)?;
        let session = self.connections.begin(Purpose::Ask).await?;
        let checked = cohort::check(&session, &self.relation, scope).await;
        // That there is no such population is an answer: the connection is as good as before.
        if !matches!(checked, Err(PopulationError::Port(_))) {
            session.done().await?;
        }
        checked
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        groups::search(&self.connections, &self.relation, query).await
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        groups::read(&self.connections, &self.relation, id).await
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let cohort = self.cohort(scope).await?;
        // Much may be gone through, as in the reading of a slice.
        let session = self.connections.begin(Purpose::Read).await?;
        let cutter = Cutter {
            session: &session,
            relation: &self.relation,
            scope,
            cohort: &cohort,
            target,
        };
        let step = cutter.step(limit, cursor).await?;
        session.done().await?;
        Ok(step)
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError> {
        self.own(scope)?;
        let session = self.connections.begin(Purpose::Read).await?;
        let issues = remarks::remarks(&session, &self.relation, scope).await?;
        session.done().await?;
        Ok(issues)
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        let (scope, slice) = (scope.clone(), slice.clone());
        let reader = |sender| self.clone().slice(scope, slice, sender);
        Ok(blocks_of("reading the database", reader))
    }
}
