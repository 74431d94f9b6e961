//! The compartments of some patients.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use bytes::Bytes;
use sluice_fhir::facts::Facts;
use sluice_fhir::{Instant, ResourceType};
use sluice_model::Selection;
use sluice_ports::PortError;

use crate::fetch::since;
use crate::notes::Note;
use crate::offer::Way;
use crate::reading::{Reading, Sink};
use crate::upstream::Query;
use crate::walk::Take;

/// The lowest patient of each resource of some compartments.
pub(crate) type Owners = HashMap<(ResourceType, String), String>;

/// What of some patients is visited.
pub(crate) struct Visit<'v> {
    /// The patients, sorted; they exist and are in the cohort.
    pub(crate) patients: &'v [String],
    /// The types that the sink takes.
    pub(crate) kinds: &'v [ResourceType],
    /// Only what changed later.
    pub(crate) since: Option<Instant>,
    /// Only what is chosen, as far as the server can be asked for it.
    pub(crate) selection: Option<&'v Selection>,
}

impl Reading<'_> {
    /// Visits the resources of some patients, each once, all of a type before those of the next.
    pub(crate) async fn visit(
        &self,
        visit: &Visit<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), PortError> {
        let unsearchable = self.upstream.http.options.unsearchable;
        let way = |kind: &ResourceType| self.upstream.offer.way(*kind, unsearchable);
        let provenance = visit.kinds.iter().find(|kind| kind.name() == "Provenance");
        let Some(provenance) =
            provenance.filter(|kind| way(kind).is_some_and(|way| way != Way::Scan))
        else {
            for kind in visit.kinds {
                if let Some(Way::ByPatient(params)) = way(kind) {
                    self.visit_type(visit, (*kind, &params), None, sink).await?;
                }
            }
            return Ok(());
        };
        // What it is about must be known, whatever its type and however old.
        let mut owners = Owners::new();
        let everything = Visit {
            since: None,
            selection: None,
            ..*visit
        };
        let others = self
            .upstream
            .offer
            .types()
            .filter(|kind| kind != provenance);
        for kind in others.collect::<Vec<ResourceType>>() {
            if let Some(Way::ByPatient(params)) = way(&kind) {
                let how = (kind, params.as_slice());
                self.visit_type(&everything, how, Some(&mut owners), sink)
                    .await?;
            }
        }
        self.visit_provenances(&everything, *provenance, &mut owners, sink)
            .await
    }

    async fn visit_type(
        &self,
        visit: &Visit<'_>,
        (kind, params): (ResourceType, &[&'static str]),
        owners: Option<&mut Owners>,
        sink: &mut dyn Sink,
    ) -> Result<(), PortError> {
        let mut part = Part {
            reading: self,
            patients: visit.patients,
            is_wanted: visit.kinds.contains(&kind),
            owners,
            seen: HashSet::new(),
            strangers: 0,
            sink,
        };
        let query = Query::new(kind);
        if kind == ResourceType::PATIENT {
            let fetched = self
                .upstream
                .fetch(&query, visit.patients, &self.notes, &mut part);
            return fetched.await;
        }
        let mut query = since(query, visit.since);
        if let Some(selection) = visit.selection {
            query = self.upstream.chosen(query, selection);
        }
        for param in params {
            let by = (*param, visit.patients);
            let found = self
                .upstream
                .of_patients(&query, by, &self.notes, &mut part)
                .await;
            found.map_err(self.told(kind))?;
        }
        if part.strangers > 0 {
            self.notes.add(kind, Note::Stranger, part.strangers);
        }
        Ok(())
    }
}

/// One type of the compartments.
struct Part<'p> {
    reading: &'p Reading<'p>,
    patients: &'p [String],
    is_wanted: bool,
    owners: Option<&'p mut Owners>,
    /// It may be found by several parameters.
    seen: HashSet<String>,
    strangers: u64,
    sink: &'p mut dyn Sink,
}

#[async_trait]
impl Take for Part<'_> {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        if !self.seen.insert(facts.id.clone()) {
            return Ok(());
        }
        let owner = if facts.kind == ResourceType::PATIENT {
            facts.id.clone()
        } else {
            let mut named = facts.patients.iter();
            if !named.any(|patient| self.patients.contains(&patient.id)) {
                self.strangers += 1;
                return Ok(());
            }
            let owner = self.reading.owner(&facts.patients, self.patients).await?;
            owner.unwrap_or_default().to_owned()
        };
        let mine = self.patients.contains(&owner);
        if let Some(owners) = &mut self.owners {
            owners.insert((facts.kind, facts.id.clone()), owner);
        }
        if self.is_wanted {
            self.sink.take(facts, line, mine).await?;
        }
        Ok(())
    }
}
