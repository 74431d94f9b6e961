//! Which patients an export is about: everyone, those it names, or the members of a Group at T.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest, Sha256};
use sluice_fhir::facts::{GroupFacts, contains, scan};
use sluice_fhir::{Instant, Level, ResourceType};
use sluice_model::Scope;
use sluice_ports::{PopulationError, PortError};

use crate::notes::Notes;
use crate::upstream::Upstream;

/// The patients of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cohort {
    /// Their ids, sorted; `None` for everyone. That each exists is not known yet.
    pub(crate) ids: Option<Vec<String>>,
    /// A digest of the ids, to tell whether a Group is what it was.
    pub(crate) stamp: String,
    /// Members that are no Patients, or named by nothing that can be followed.
    pub(crate) others: usize,
    /// Members that name a Group that does not exist.
    pub(crate) lost_groups: usize,
}

impl Cohort {
    fn of(ids: Vec<String>) -> Self {
        let mut digest = Sha256::new();
        for id in &ids {
            digest.update(id);
            digest.update(b" ");
        }
        Self {
            stamp: hex::encode(&digest.finalize()[..8]),
            ids: Some(ids),
            ..Self::default()
        }
    }

    /// Whether somebody belongs to it, if they exist.
    pub(crate) fn may_hold(&self, id: &str) -> bool {
        let among = |ids: &Vec<String>| ids.binary_search_by(|one| one.as_str().cmp(id)).is_ok();
        self.ids.as_ref().is_none_or(among)
    }
}

impl Upstream {
    /// Gathers the patients of a scope.
    pub(crate) async fn cohort(&self, scope: &Scope) -> Result<Cohort, PopulationError> {
        let named = scope
            .patients
            .as_ref()
            .map(|ids| ids.iter().cloned().collect::<BTreeSet<String>>());
        let Level::Group(group) = &scope.level else {
            return Ok(match named {
                Some(ids) => Cohort::of(ids.into_iter().collect()),
                None => Cohort::default(),
            });
        };
        let mut members = Members {
            time: scope.snapshot.time,
            ids: BTreeSet::new(),
            seen: HashSet::from([group.clone()]),
            open: Vec::new(),
            others: 0,
        };
        let first = self.group_facts(group).await?;
        let first = first.filter(|facts| facts.active);
        members.add(&first.ok_or(PopulationError::UnknownGroup)?);
        let mut lost_groups = 0;
        while let Some(group) = members.open.pop() {
            match self.group_facts(&group).await? {
                Some(facts) if facts.active => members.add(&facts),
                Some(_) => {}
                None => lost_groups += 1,
            }
        }
        let ids = match named {
            Some(named) => named.intersection(&members.ids).cloned().collect(),
            None => members.ids.into_iter().collect(),
        };
        Ok(Cohort {
            others: members.others,
            lost_groups,
            ..Cohort::of(ids)
        })
    }

    /// Checks that there is such a population.
    pub(crate) async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        let cohort = self.cohort(scope).await?;
        let Some(named) = &scope.patients else {
            return Ok(());
        };
        let may_be = cohort.ids.unwrap_or_default();
        let there = self.existing(&may_be, None, &Notes::default()).await?;
        let unknown = named.iter().filter(|id| !there.contains_key(*id));
        let unknown: Vec<String> = unknown.cloned().collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(PopulationError::UnknownPatients(unknown))
        }
    }

    async fn group_facts(&self, id: &str) -> Result<Option<GroupFacts>, PortError> {
        let kind = ResourceType::GROUP;
        let line = self.read(kind, id).await;
        let Some(line) = line.map_err(|failure| failure.during(self.action(kind)))? else {
            return Ok(None);
        };
        match scan(&line).map(|facts| facts.group) {
            Ok(Some(group)) => Ok(Some(*group)),
            Ok(None) => Ok(None),
            Err(reason) => Err(PortError::permanent(self.action(kind), reason.summary())),
        }
    }
}

struct Members {
    time: Instant,
    ids: BTreeSet<String>,
    seen: HashSet<String>,
    open: Vec<String>,
    others: usize,
}

impl Members {
    fn add(&mut self, group: &GroupFacts) {
        for member in &group.members {
            if !contains(member.start.as_deref(), member.end.as_deref(), self.time) {
                continue;
            }
            match &member.entity {
                Some(entity) if entity.kind == Some(ResourceType::PATIENT) => {
                    self.ids.insert(entity.id.clone());
                }
                Some(entity) if entity.kind == Some(ResourceType::GROUP) => {
                    if self.seen.insert(entity.id.clone()) {
                        self.open.push(entity.id.clone());
                    }
                }
                _ => self.others += 1,
            }
        }
    }
}
