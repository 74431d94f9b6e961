//! The port: everything asked under one scope is answered from one state of the database.

use std::sync::Arc;

use async_trait::async_trait;
use sluice_fhir::{Instant, Issue, ResourceType};
use sluice_model::{Scope, Slice, Snapshot, Tally};
use sluice_ports::{
    Block, BlockStream, ByteStream, GroupPage, GroupQuery, Outlet, PlanStep, PopulationError,
    PortError, Source, blocks_of, spans_of,
};
use tokio::sync::{OnceCell, Semaphore, mpsc};

use crate::cohort::{self, Cohort};
use crate::failure::failed;
use crate::holdings::Holdings;
use crate::kinds::Kinds;
use crate::large::Large;
use crate::options::PostgresOptions;
use crate::people::People;
use crate::plan::Cutter;
use crate::pool::{Connections, PoolState, Purpose};
use crate::range::Span;
use crate::read::{Reader, Stop};
use crate::view::{Token, View};
use crate::{clock, groups, migrate, provenance, remarks};

/// The tables of Sluice in a database.
#[derive(Clone)]
pub struct PostgresSource {
    connections: Connections,
    kinds: Arc<Kinds>,
    reads: Arc<Semaphore>,
}

impl PostgresSource {
    /// Connects. A schema that is not the one of this build is refused.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, PortError> {
        let connections = Connections::open(options)?;
        let session = connections.begin(Purpose::Ask).await?;
        migrate::check(&session).await?;
        let kinds = Kinds::read(&session).await?;
        session.done().await?;
        Ok(Self {
            connections,
            kinds: Arc::new(kinds),
            reads: Arc::new(Semaphore::new(options.reads.max(1))),
        })
    }

    /// What its connections are doing now.
    pub fn pool(&self) -> PoolState {
        self.connections.state()
    }

    /// About how much there is.
    pub async fn holds(&self) -> Result<Tally, PortError> {
        let session = self.connections.begin(Purpose::Ask).await?;
        let row = session
            .query_typed_one(
                "SELECT coalesce(sum(resources), 0)::bigint, coalesce(sum(bytes), 0)::bigint \
                 FROM sluice.volume",
                &[],
            )
            .await
            .map_err(failed("counting what there is"))?;
        session.done().await?;
        let number = |at| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
        Ok(Tally {
            resources: number(0),
            bytes: number(1),
        })
    }

    async fn slice(
        self,
        scope: Scope,
        slice: Slice,
        sender: mpsc::Sender<Block>,
    ) -> Result<(), PortError> {
        let _turn = self.reads.acquire().await;
        let view = View::of(&scope)?;
        let first = slice.types.first().copied();
        let (connections, kinds) = (&self.connections, &*self.kinds);
        let provenance = provenance::code(kinds);
        let spans = if slice.deleted {
            Vec::new()
        } else {
            spans_of::<Span>(&slice)?
        };
        let cohort = Cohort::of(&scope, &view, kinds);
        let (held, large) = if spans.is_empty() {
            (Holdings::default(), Vec::new())
        } else {
            let types: Vec<ResourceType> = spans.iter().map(|(kind, _)| *kind).collect();
            let (codes, is_whole) = (kinds.codes(&types), matches!(cohort, Cohort::Whole));
            let held = Holdings::sql(&codes, provenance, is_whole);
            let large = Large::sql(kinds, &view, &spans, is_whole);
            let looking = (Purpose::Read, "looking what there is of a slice");
            let (held, large) = connections.ask_two(looking, (&held, &large)).await?;
            (Holdings::found(&held), Large::found(&large))
        };
        let mut reader = Reader {
            people: People::default(),
            held,
            present: OnceCell::new(),
            large,
            connections,
            kinds,
            scope: &scope,
            cohort,
            view,
            outlet: Outlet::new(sender, first.unwrap_or(ResourceType::PATIENT)),
        };
        let read = if slice.deleted {
            reader.deleted(&slice.types).await
        } else {
            reader.slice(&spans).await
        };
        Stop::settle(read)
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        const ACTION: &str = "fixing the time of an export";
        let session = self.connections.begin(Purpose::Ask).await?;
        // First the clock, then the state: what is written between the two is later than T. A
        // replica knows what was written up to its last transaction, and no more.
        // They are sent one behind the other, and answered in that order.
        let (now, state) = futures::join!(
            clock::time(&session, "clock_timestamp()", ACTION),
            // A writer that has announced itself may still write, and at any time from then on (T9).
            session.query_typed_one(
                "SELECT pg_current_snapshot()::text, min(since) FROM sluice.writer",
                &[],
            )
        );
        let (now, state) = (now?, state.map_err(failed(ACTION))?);
        session.done().await?;
        let open: Option<i64> = state.get(1);
        let time = open.map_or(now, |since| now.min(since.saturating_sub(1)));
        let token = Token {
            snapshot: state.get(0),
        };
        let token =
            serde_json::to_string(&token).map_err(|error| PortError::permanent(ACTION, error))?;
        Ok(Snapshot {
            time: Instant::from_nanos(time).floor_to_millis(),
            token,
        })
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        let view = View::of(scope)?;
        cohort::check(&self.connections, scope, &view, &self.kinds).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        groups::search(&self.connections, &self.kinds, query).await
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        groups::read(&self.connections, &self.kinds, id).await
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let view = View::of(scope)?;
        let cohort = Cohort::of(scope, &view, &self.kinds);
        let session = self.connections.begin(Purpose::Ask).await?;
        let cutter = Cutter {
            session: &session,
            kinds: &self.kinds,
            scope,
            view: &view,
            cohort: &cohort,
            target,
        };
        let step = cutter.step(limit, cursor).await?;
        session.done().await?;
        Ok(step)
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError> {
        let view = View::of(scope)?;
        let session = self.connections.begin(Purpose::Ask).await?;
        let issues = remarks::remarks(&session, scope, &view, &self.kinds).await?;
        session.done().await?;
        Ok(issues)
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        let (scope, slice) = (scope.clone(), slice.clone());
        let reader = |sender| self.clone().slice(scope, slice, sender);
        Ok(blocks_of("reading the database", reader))
    }
}
