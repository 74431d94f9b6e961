//! What all steps of reading one slice share: the scope, its patients, what is known of them, and what
//! is to be told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_fhir::facts::{Facts, Target};
use sluice_model::Scope;
use sluice_ports::{Outlet, PortError};
use tokio::sync::Mutex;

use crate::cohort::Cohort;
use crate::failure::Failure;
use crate::notes::{Note, Notes};
use crate::upstream::Upstream;

/// Patients of whom it is remembered whether they are there.
const REMEMBERED: usize = 100_000;
/// Who came to be later than this after the kick-off may be in no plan.
const PLANNING: Duration = Duration::from_mins(1);

/// The reading of one slice.
pub(crate) struct Reading<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) scope: &'a Scope,
    pub(crate) notes: Notes,
    cohort: Arc<Cohort>,
    /// Whether the cohort is the one that the plan was made from.
    is_planned: bool,
    /// Who is there, and whether they are new.
    known: Mutex<HashMap<String, Option<bool>>>,
}

/// What is done with the resources of a compartment.
#[async_trait]
pub(crate) trait Sink: Send {
    /// Takes one; it is `mine` if its lowest patient of the cohort is one of those being read.
    async fn take(&mut self, facts: Facts, line: Bytes, mine: bool) -> Result<(), PortError>;
}

/// Sends what the scope admits.
pub(crate) struct Lines<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) outlet: &'a mut Outlet,
}

#[async_trait]
impl Sink for Lines<'_> {
    async fn take(&mut self, facts: Facts, line: Bytes, mine: bool) -> Result<(), PortError> {
        if mine && self.scope.admits(facts.updated) {
            self.outlet.turn_to(facts.kind).await?;
            self.outlet.line(&line).await?;
        }
        Ok(())
    }
}

impl<'a> Reading<'a> {
    /// Of a slice whose plan saw a cohort with this stamp, if with any.
    pub(crate) fn new(
        upstream: &'a Upstream,
        scope: &'a Scope,
        cohort: Arc<Cohort>,
        stamp: Option<&str>,
    ) -> Self {
        Self {
            upstream,
            scope,
            notes: Notes::default(),
            is_planned: stamp.is_none_or(|stamp| stamp == cohort.stamp),
            cohort,
            known: Mutex::default(),
        }
    }

    pub(crate) fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// Says what was tried when something failed.
    pub(crate) fn told(&self, kind: ResourceType) -> impl Fn(Failure) -> PortError + '_ {
        move |failure| failure.during(self.upstream.action(kind))
    }

    /// Which of these patients are in the cohort, and are there.
    pub(crate) async fn members<'i>(
        &self,
        ids: impl Iterator<Item = &'i str> + Send,
    ) -> Result<HashSet<&'i str>, PortError> {
        let known = self.presence(ids).await?;
        Ok(known.into_keys().collect())
    }

    /// The same, and whether each is so new that no plan may have them.
    async fn presence<'i>(
        &self,
        ids: impl Iterator<Item = &'i str> + Send,
    ) -> Result<HashMap<&'i str, bool>, PortError> {
        let ids: HashSet<&str> = ids.filter(|id| self.cohort.may_hold(id)).collect();
        let mut known = self.known.lock().await;
        if known.len() > REMEMBERED {
            known.clear();
        }
        let unknown = ids.iter().filter(|id| !known.contains_key(**id));
        let mut unknown: Vec<String> = unknown.map(|id| (*id).to_owned()).collect();
        if !unknown.is_empty() {
            unknown.sort_unstable();
            let lag = self.upstream.http.options.lag;
            let planned = self.scope.snapshot.time.plus(lag).plus(PLANNING);
            let since = self.cohort.ids.is_none().then_some(planned);
            let existing = self.upstream.existing(&unknown, since, &self.notes);
            let there = existing.await?;
            for id in unknown {
                let presence = there.get(&id).copied();
                known.insert(id, presence);
            }
        }
        let found = ids.into_iter();
        let found = found.filter_map(|id| Some((id, known.get(id).copied()??)));
        Ok(found.collect())
    }

    /// The lowest of these patients who is in the cohort; those in `batch` are known to be. A resource
    /// leaves with its lowest patient alone, so that it leaves once.
    pub(crate) async fn owner<'i>(
        &self,
        patients: &'i [Target],
        batch: &[String],
    ) -> Result<Option<&'i str>, PortError> {
        let mut ids: Vec<&str> = patients.iter().map(|target| target.id.as_str()).collect();
        ids.sort_unstable();
        for id in ids {
            if batch.iter().any(|one| one == id) || self.is_elsewhere(id).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Whether another slice reads this patient. When the Group is no longer what the plan saw, nobody
    /// can say; then something may leave twice rather than never.
    async fn is_elsewhere(&self, id: &str) -> Result<bool, PortError> {
        if !self.is_planned {
            self.notes.add(ResourceType::GROUP, Note::OtherGroup, 1);
            return Ok(false);
        }
        // Somebody who came later must not own what nobody then reads.
        let presence = self.presence(std::iter::once(id)).await?;
        Ok(presence.get(id) == Some(&false))
    }
}
