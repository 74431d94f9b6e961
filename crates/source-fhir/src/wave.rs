//! The second wave: what lies in nobody's compartment comes along when something exported refers to it,
//! or something that came along does.
//!
//! The whole cohort is read again for what it refers to; only ids are kept. Then what was found is read
//! twice, for its own references and for its lines, so that nothing but ids is held here either.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use sluice_fhir::ResourceType;
use sluice_fhir::facts::{Facts, Target};
use sluice_ports::{Outlet, PortError};

use crate::batch::Visit;
use crate::enumerate::Batches;
use crate::offer::Way;
use crate::plan::wanted;
use crate::reading::{Reading, Sink};
use crate::upstream::Query;
use crate::walk::Take;

/// Ids by type.
type Ids = BTreeMap<ResourceType, BTreeSet<String>>;

impl Reading<'_> {
    /// Sends the second wave, within these types.
    pub(crate) async fn wave(
        &self,
        kinds: &[ResourceType],
        outlet: &mut Outlet,
    ) -> Result<(), PortError> {
        let mut open = self.referred_to(kinds).await?;
        let (mut known, mut picked) = (Ids::new(), Ids::new());
        while !open.is_empty() {
            let mut further = Ids::new();
            for (kind, ids) in std::mem::take(&mut open) {
                let ids: Vec<String> = ids.into_iter().collect();
                let mut outside = Outside {
                    reading: self,
                    picked: &mut picked,
                    references: BTreeSet::new(),
                };
                let query = Query::new(kind);
                let fetched = self.upstream.fetch(&query, &ids, &self.notes, &mut outside);
                fetched.await?;
                add(&mut further, outside.references, kinds);
                known.entry(kind).or_default().extend(ids);
            }
            for (kind, ids) in further {
                let known = known.get(&kind);
                let new = ids
                    .into_iter()
                    .filter(|id| known.is_none_or(|known| !known.contains(id)));
                let new: BTreeSet<String> = new.collect();
                if !new.is_empty() {
                    open.insert(kind, new);
                }
            }
        }
        for (kind, ids) in picked {
            let ids: Vec<String> = ids.into_iter().collect();
            let mut lines = Last {
                reading: self,
                outlet,
            };
            let query = Query::new(kind);
            self.upstream
                .fetch(&query, &ids, &self.notes, &mut lines)
                .await?;
        }
        Ok(())
    }

    /// What the cohort's resources refer to beyond themselves.
    async fn referred_to(&self, kinds: &[ResourceType]) -> Result<Ids, PortError> {
        let options = &self.upstream.http.options;
        let exported = wanted(self.upstream, self.scope);
        let way = |kind: ResourceType| self.upstream.offer.way(kind, options.unsearchable);
        let (scanned, searched): (Vec<ResourceType>, Vec<ResourceType>) =
            { exported.iter().copied() }.partition(|kind| way(*kind) == Some(Way::Scan));
        let mut all = Ids::new();
        if !searched.is_empty() {
            let each = async |patients: Vec<String>| {
                let mut there = There::default();
                let visit = Visit {
                    patients: &patients,
                    kinds: &searched,
                    since: None,
                    selection: None,
                };
                self.visit(&visit, &mut there).await?;
                Ok::<_, PortError>(there.beyond())
            };
            let batches = Batches::of(self);
            let found = batches
                .map_ok(each)
                .try_buffer_unordered(options.concurrency.max(1));
            let mut found = std::pin::pin!(found);
            while let Some(references) = found.next().await {
                add(&mut all, references?, kinds);
            }
        }
        for kind in scanned {
            let mut there = There::default();
            self.scan(kind, true, &mut there).await?;
            add(&mut all, there.beyond(), kinds);
        }
        Ok(all)
    }
}

/// Adds targets of these types; one whose type is not known may be of any.
fn add(ids: &mut Ids, targets: impl IntoIterator<Item = Target>, kinds: &[ResourceType]) {
    for target in targets {
        let kinds = kinds
            .iter()
            .filter(|kind| target.kind.is_none_or(|of| of == **kind));
        for kind in kinds {
            ids.entry(*kind).or_default().insert(target.id.clone());
        }
    }
}

/// What was read, and what it refers to.
#[derive(Default)]
struct There {
    here: HashSet<Target>,
    references: HashSet<Target>,
}

#[async_trait]
impl Sink for There {
    async fn take(&mut self, facts: Facts, _line: Bytes, _mine: bool) -> Result<(), PortError> {
        self.references.extend(facts.references);
        self.here.insert(Target {
            kind: Some(facts.kind),
            id: facts.id,
        });
        Ok(())
    }
}

impl There {
    /// References to what was not read itself; most are to what was.
    fn beyond(mut self) -> Vec<Target> {
        let here = std::mem::take(&mut self.here);
        self.references.retain(|target| !here.contains(target));
        self.references.into_iter().collect()
    }
}

/// Picks what is nobody's.
struct Outside<'o> {
    reading: &'o Reading<'o>,
    picked: &'o mut Ids,
    references: BTreeSet<Target>,
}

#[async_trait]
impl Take for Outside<'_> {
    async fn take(&mut self, facts: Facts, _line: Bytes) -> Result<(), PortError> {
        if self.reading.is_nobodys(&facts, &HashSet::new()).await? {
            self.references.extend(facts.references);
            self.picked.entry(facts.kind).or_default().insert(facts.id);
        }
        Ok(())
    }
}

/// Sends what was picked.
struct Last<'l> {
    reading: &'l Reading<'l>,
    outlet: &'l mut Outlet,
}

#[async_trait]
impl Take for Last<'_> {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        // It may have become somebody's meanwhile.
        if facts.patients.is_empty() && self.reading.scope.admits(facts.updated) {
            self.outlet.turn_to(facts.kind).await?;
            self.outlet.line(&line).await?;
        }
        Ok(())
    }
}
