//! Made-up patients as a source, as many as asked for, for load tests.
//!
//! Each line is computed from the number of its patient whenever it is read, so nothing is stored,
//! nothing is loaded, and a plan is a matter of arithmetic. All lines of a patient are of one
//! length, and everything was last changed at one instant.

mod cohort;
mod groups;
mod lines;
mod options;
mod plan;
#[cfg(test)]
mod property;
mod read;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use sluice_fhir::{Issue, ResourceType};
use sluice_model::{Scope, Slice, Snapshot};
use sluice_ports::{
    BlockStream, ByteStream, Clock, GroupPage, GroupQuery, PlanStep, PopulationError, PortError,
    Source,
};

pub use self::options::{InvalidSynthetic, SyntheticOptions};

use self::groups::Group;
use self::view::{Kind, View, pinned};
use crate::ndjson::Catalog;

/// Patients that are made up as they are read.
#[derive(Clone)]
pub struct SyntheticSource {
    options: SyntheticOptions,
    clock: Arc<dyn Clock>,
}

impl SyntheticSource {
    /// A source of what the options say. T comes from the clock.
    pub fn new(options: SyntheticOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock }
    }

    /// What there is to export; no files, as nothing is stored.
    pub fn catalog(&self) -> Catalog {
        let patients = u64::from(self.options.patients);
        let groups = Group::listed(&self.options);
        let count = |kind| match kind {
            Kind::Group => u64::try_from(groups.len()).unwrap_or(0),
            Kind::Observation => patients * u64::from(self.options.observations),
            Kind::Patient => patients,
        };
        let per_type: BTreeMap<ResourceType, u64> = ResourceType::all()
            .filter_map(|name| Some((name, count(Kind::of(name)?))))
            .filter(|(_, count)| *count > 0)
            .collect();
        let lines = count(Kind::Patient) + count(Kind::Observation);
        let group_bytes: u64 = groups.iter().map(|group| group.len() + 1).sum();
        Catalog {
            resources: per_type.values().sum(),
            bytes: lines * self.options.bytes + group_bytes,
            per_type,
            ..Catalog::default()
        }
    }
}

#[async_trait]
impl Source for SyntheticSource {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        Ok(Snapshot {
            time: self.clock.now().floor_to_millis(),
            token: self.options.token(),
        })
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        pinned(&self.options, scope)?;
        cohort::check(&self.options, scope)
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        Ok(groups::search(&self.options, query))
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        let group = Group::find(&self.options, id);
        Ok(group.map(|group| futures::stream::iter(group.pieces("").map(Ok)).boxed()))
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let view = View::open(self.options, scope)?;
        plan::step(&view, target, limit, cursor)
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError> {
        pinned(&self.options, scope)?;
        Ok(Vec::new())
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        let view = View::open(self.options, scope)?;
        read::blocks(view, slice)
    }
}
