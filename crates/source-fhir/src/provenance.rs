//! Provenances: whose they are follows from what they are about.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use sluice_fhir::facts::{Facts, Target};
use sluice_fhir::{ResourceType, compartment};
use sluice_ports::PortError;

use crate::batch::{Owners, Visit};
use crate::notes::Note;
use crate::reading::{Reading, Sink};
use crate::upstream::Query;
use crate::walk::Take;

/// Keeps the one resource that was asked for.
#[derive(Default)]
struct Only(Option<Facts>);

#[async_trait]
impl Take for Only {
    async fn take(&mut self, facts: Facts, _line: Bytes) -> Result<(), PortError> {
        self.0 = Some(facts);
        Ok(())
    }
}

impl Reading<'_> {
    /// Visits the Provenances of what is in `owners`, and those about these.
    pub(crate) async fn visit_provenances(
        &self,
        visit: &Visit<'_>,
        kind: ResourceType,
        owners: &mut Owners,
        sink: &mut dyn Sink,
    ) -> Result<(), PortError> {
        let mut about: Vec<String> = owners
            .keys()
            .map(|(kind, id)| format!("{kind}/{id}"))
            .collect();
        about.sort_unstable();
        let mut seen = HashSet::new();
        let query = Query::new(kind);
        while !about.is_empty() {
            let mut found = About {
                reading: self,
                visit,
                owners: &mut *owners,
                seen: &mut seen,
                fresh: Vec::new(),
                strangers: 0,
                sink: &mut *sink,
            };
            let by = ("target", about.as_slice());
            let walked = self
                .upstream
                .by_values(&query, by, &self.notes, &mut found)
                .await;
            walked.map_err(self.told(kind))?;
            if found.strangers > 0 {
                self.notes.add(kind, Note::Stranger, found.strangers);
            }
            about = found.fresh;
        }
        Ok(())
    }

    /// The lowest patient of the cohort whose a Provenance is.
    async fn owner_of_provenance(
        &self,
        facts: &Facts,
        batch: &[String],
        owners: &Owners,
    ) -> Result<Option<String>, PortError> {
        let own = self.owner(&facts.patients, batch).await?;
        let mut lowest = own.map(str::to_owned);
        for subject in &facts.subjects {
            let Some(kind) = subject.kind else { continue };
            let owner = match owners.get(&(kind, subject.id.clone())) {
                Some(owner) => Some(owner.clone()),
                None => self.home(subject.clone(), batch, HashSet::new()).await?,
            };
            lowest = match (lowest, owner) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        Ok(lowest)
    }

    /// The lowest patient of the cohort whose something is that is not among what was read.
    fn home<'h>(
        &'h self,
        target: Target,
        batch: &'h [String],
        mut visited: HashSet<String>,
    ) -> BoxFuture<'h, Result<Option<String>, PortError>> {
        async move {
            let Some(facts) = self.look_up(&target).await? else {
                return Ok(None);
            };
            let owner = self.owner(&facts.patients, batch).await?;
            let mut lowest = owner.map(str::to_owned);
            if !visited.insert(facts.id) {
                return Ok(lowest);
            }
            for subject in facts.subjects {
                let found = self.home(subject, batch, visited.clone()).await?;
                lowest = match (lowest, found) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            Ok(lowest)
        }
        .boxed()
    }

    /// Reads something that may be a patient's.
    async fn look_up(&self, target: &Target) -> Result<Option<Facts>, PortError> {
        let mut only = Only::default();
        if let Some(kind) = target.kind.filter(|kind| compartment::contains(*kind)) {
            let ids = [target.id.clone()];
            let query = Query::new(kind);
            self.upstream
                .fetch(&query, &ids, &self.notes, &mut only)
                .await?;
        }
        Ok(only.0)
    }

    /// Whether a Provenance is about anything of the cohort.
    pub(crate) async fn is_provenance_of_cohort(&self, facts: &Facts) -> Result<bool, PortError> {
        let owner = self.owner_of_provenance(facts, &[], &Owners::new()).await?;
        Ok(owner.is_some())
    }

    /// Whether something is in nobody's compartment, and known to be so.
    pub(crate) fn is_nobodys<'n>(
        &'n self,
        facts: &'n Facts,
        visited: &'n HashSet<String>,
    ) -> BoxFuture<'n, Result<bool, PortError>> {
        async move {
            if facts.kind == ResourceType::PATIENT
                || !facts.patients.is_empty()
                || facts.names_somebody
            {
                return Ok(false);
            }
            let mut visited = visited.clone();
            if !visited.insert(facts.id.clone()) {
                return Ok(true);
            }
            let may_be = |target: &&Target| target.kind.is_some_and(compartment::contains);
            for subject in facts.subjects.iter().filter(may_be) {
                // What is not there may have been somebody's.
                let Some(about) = self.look_up(subject).await? else {
                    return Ok(false);
                };
                if !self.is_nobodys(&about, &visited).await? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        .boxed()
    }
}

/// Takes Provenances about what is known.
struct About<'a> {
    reading: &'a Reading<'a>,
    visit: &'a Visit<'a>,
    owners: &'a mut Owners,
    seen: &'a mut HashSet<String>,
    /// Those that others may be about.
    fresh: Vec<String>,
    strangers: u64,
    sink: &'a mut dyn Sink,
}

#[async_trait]
impl Take for About<'_> {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        if !self.seen.insert(facts.id.clone()) {
            return Ok(());
        }
        let patients = self.visit.patients;
        let is_known = |subject: &Target| {
            let kind = subject.kind.unwrap_or(ResourceType::PATIENT);
            self.owners.contains_key(&(kind, subject.id.clone()))
        };
        let mut named = facts.patients.iter();
        if !named.any(|patient| patients.contains(&patient.id))
            && !facts.subjects.iter().any(is_known)
        {
            self.strangers += 1;
            return Ok(());
        }
        let owner = self
            .reading
            .owner_of_provenance(&facts, patients, self.owners)
            .await?;
        let owner = owner.unwrap_or_default();
        let mine = patients.contains(&owner);
        self.fresh.push(format!("{}/{}", facts.kind, facts.id));
        self.owners.insert((facts.kind, facts.id.clone()), owner);
        self.sink.take(facts, line, mine).await
    }
}
