//! The server behind the port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use sluice_fhir::{Issue, Level, ResourceType};
use sluice_model::{Scope, Slice, Snapshot};
use sluice_ports::{
    Block, BlockStream, ByteStream, Clock, Entropy, GroupPage, GroupQuery, Outlet, PlanStep,
    PopulationError, PortError, PortKind, Source, blocks_of, foreign,
};
use tokio::sync::mpsc;

use crate::batch::Visit;
use crate::cohort::Cohort;
use crate::http::Ask;
use crate::options::FhirOptions;
use crate::plan::{Range, wanted};
use crate::reading::{Lines, Reading};
use crate::upstream::Upstream;

/// What a snapshot is told apart by: there is but one state, the present.
const TOKEN: &str = "fhir";

/// A FHIR R4 server as a source.
#[derive(Clone)]
pub struct FhirSource {
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Upstream,
    /// The patients last asked for: the pages of a plan ask for the same, one after the other.
    last: Mutex<Option<(Scope, Arc<Cohort>)>>,
}

impl FhirSource {
    /// Reads the server's CapabilityStatement.
    pub async fn connect(
        options: FhirOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PortError> {
        let upstream = Upstream::connect(options, clock, entropy).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                upstream,
                last: Mutex::default(),
            }),
        })
    }

    /// Requests so far by the HTTP status of their answer; `None` counts those that got none, or one of no use.
    pub fn answers(&self) -> BTreeMap<Option<u16>, u64> {
        self.shared.upstream.http.answers.counted()
    }
}

impl Shared {
    async fn cohort(&self, scope: &Scope) -> Result<Arc<Cohort>, PortError> {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, cohort)) = &*last()
            && of == scope
        {
            return Ok(Arc::clone(cohort));
        }
        let cohort = match self.upstream.cohort(scope).await {
            Ok(cohort) => Arc::new(cohort),
            Err(PopulationError::Port(error)) => return Err(error),
            Err(_) => return Err(PortError::new(PortKind::NotFound, "gathering a group")),
        };
        *last() = Some((scope.clone(), Arc::clone(&cohort)));
        Ok(cohort)
    }

    async fn read(
        &self,
        scope: &Scope,
        slice: &Slice,
        blocks: mpsc::Sender<Block>,
    ) -> Result<(), PortError> {
        let upstream = &self.upstream;
        let wanted = wanted(upstream, scope);
        if !slice.types.iter().all(|kind| wanted.contains(kind)) {
            return Err(foreign("slice"));
        }
        let range = Range::read(slice)?;
        let stamp = match &range {
            Range::Of(_, stamp) => Some(stamp.as_str()),
            Range::Scan | Range::Wave => None,
        };
        let cohort = self.cohort(scope).await?;
        let reading = Reading::new(upstream, scope, cohort, stamp);
        let mut outlet = Outlet::new(blocks, ResourceType::PATIENT);
        let mut lines = Lines {
            scope,
            outlet: &mut outlet,
        };
        match &range {
            Range::Of(patients, _) => {
                let visit = Visit {
                    patients,
                    kinds: &slice.types,
                    since: scope.since,
                    selection: Some(&scope.selection),
                };
                reading.visit(&visit, &mut lines).await?;
            }
            Range::Scan => {
                for kind in &slice.types {
                    reading.scan(*kind, false, &mut lines).await?;
                }
            }
            Range::Wave => reading.wave(&slice.types, &mut outlet).await?,
        }
        outlet.flush().await?;
        match reading.notes.block()? {
            Some(block) => Ok(outlet.block(block).await?),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Source for FhirSource {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        let http = &self.shared.upstream.http;
        let action = format!("asking the FHIR server at {} for the time", http.host());
        let asked = http.ask(&Ask::Get(http.url("metadata"))).await;
        asked.map_err(|failure| failure.during(action))?;
        let ours = http.clock.now();
        // A clock that is ahead of ours would make the next export miss what changes until then.
        let theirs = http.their_time().map_or(ours, |theirs| theirs.min(ours));
        let lag = i64::try_from(http.options.lag.as_millis()).unwrap_or(0);
        let time = sluice_fhir::Instant::from_millis(theirs.millis() - lag);
        Ok(Snapshot {
            time,
            token: TOKEN.to_owned(),
        })
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        self.shared.upstream.check(scope).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        self.shared.upstream.groups(query).await
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        let upstream = &self.shared.upstream;
        let kind = ResourceType::GROUP;
        let group = upstream.read(kind, id).await;
        let group = group.map_err(|failure| failure.during(upstream.action(kind)))?;
        Ok(group.map(|group| stream::once(async move { Ok(group) }).boxed()))
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let cohort = self.shared.cohort(scope).await?;
        let upstream = &self.shared.upstream;
        upstream.plan((scope, &cohort), target, limit, cursor).await
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError> {
        let cohort = match scope.level {
            Level::System | Level::Patient => Arc::default(),
            Level::Group(_) => self.shared.cohort(scope).await?,
        };
        self.shared.upstream.remarks(scope, &cohort).await
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        let shared = Arc::clone(&self.shared);
        let (scope, slice) = (scope.clone(), slice.clone());
        let reader = |sender| async move { shared.read(&scope, &slice, sender).await }.boxed();
        Ok(blocks_of("reading a FHIR server", reader))
    }
}
