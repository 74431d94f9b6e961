//! Resources by id, in lists, or one by one where the server does not search so; and the resources of
//! patients.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use bytes::Bytes;
use sluice_fhir::facts::{Facts, scan};
use sluice_fhir::{Instant, ResourceType};
use sluice_model::Selection;
use sluice_ports::PortError;

use crate::failure::Failure;
use crate::notes::{Note, Notes};
use crate::upstream::{Query, Upstream};
use crate::walk::Take;

/// Passes on what was asked for.
struct Asked<'a> {
    ids: HashSet<&'a str>,
    found: usize,
    strangers: u64,
    take: &'a mut dyn Take,
}

#[async_trait]
impl Take for Asked<'_> {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        if !self.ids.contains(facts.id.as_str()) {
            self.strangers += 1;
            return Ok(());
        }
        self.found += 1;
        self.take.take(facts, line).await
    }
}

/// Remembers who is there.
struct There {
    since: Option<Instant>,
    ids: HashMap<String, bool>,
}

#[async_trait]
impl Take for There {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        let is_late = match (self.since, facts.updated) {
            (Some(since), Some(updated)) => updated > since && is_first_version(&line),
            _ => false,
        };
        self.ids.insert(facts.id, is_late);
        Ok(())
    }
}

fn is_first_version(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Resource {
        meta: Meta,
    }
    #[derive(serde::Deserialize)]
    struct Meta {
        #[serde(rename = "versionId")]
        version: String,
    }
    let read = serde_json::from_slice::<Resource>(line);
    read.is_ok_and(|resource| resource.meta.version == "1")
}

impl Upstream {
    /// Takes the resources with these ids that are there; `query` has their type.
    pub(crate) async fn fetch(
        &self,
        query: &Query,
        ids: &[String],
        notes: &Notes,
        take: &mut dyn Take,
    ) -> Result<(), PortError> {
        let fetched = self.fetch_each(query, ids, notes, take).await;
        fetched.map_err(|failure| failure.during(self.action(query.kind)))
    }

    /// Which of these patients are there, and whether they came to be after `since`.
    pub(crate) async fn existing(
        &self,
        ids: &[String],
        since: Option<Instant>,
        notes: &Notes,
    ) -> Result<HashMap<String, bool>, PortError> {
        let query = Query::new(ResourceType::PATIENT).with("_elements", "id,meta");
        let mut there = There {
            since,
            ids: HashMap::new(),
        };
        self.fetch(&query, ids, notes, &mut there).await?;
        Ok(there.ids)
    }

    async fn fetch_each(
        &self,
        query: &Query,
        ids: &[String],
        notes: &Notes,
        take: &mut dyn Take,
    ) -> Result<(), Failure> {
        let kind = query.kind;
        if !self.offer.has(kind) {
            return Ok(());
        }
        for ids in ids.chunks(self.http.options.ids_per_search.max(1)) {
            let known = self.lists_ids().get(&kind).copied();
            let by_list = self.offer.can_search(kind) && known != Some(false);
            if !by_list {
                self.fetch_one_by_one(kind, ids, take).await?;
                continue;
            }
            match self.fetch_list(query, ids, notes, take).await? {
                Some(found) if found > 0 => {
                    if ids.len() > 1 {
                        self.lists_ids().insert(kind, true);
                    }
                }
                Some(_) if known.is_some() => {}
                // None of them is there, or such lists are not understood. Reading tells.
                refused => {
                    let read = self.fetch_one_by_one(kind, ids, take).await?;
                    if read > 0 || refused.is_none() {
                        self.lists_ids().insert(kind, false);
                    }
                }
            }
        }
        Ok(())
    }

    /// Says how many were found; `None` when the server does not search so.
    async fn fetch_list(
        &self,
        query: &Query,
        ids: &[String],
        notes: &Notes,
        take: &mut dyn Take,
    ) -> Result<Option<usize>, Failure> {
        let mut asked = Asked {
            ids: ids.iter().map(String::as_str).collect(),
            found: 0,
            strangers: 0,
            take,
        };
        let narrow = query.clone().with("_id", ids.join(","));
        match self.walk_some(&narrow, notes, &mut asked).await {
            Ok(()) => {}
            Err(failure) if failure.is_no() && asked.found == 0 => return Ok(None),
            Err(failure) => return Err(failure),
        }
        if asked.strangers > 0 {
            notes.add(query.kind, Note::Stranger, asked.strangers);
        }
        Ok(Some(asked.found))
    }

    /// Says how many were found.
    async fn fetch_one_by_one(
        &self,
        kind: ResourceType,
        ids: &[String],
        take: &mut dyn Take,
    ) -> Result<usize, Failure> {
        let mut found = 0;
        for id in ids {
            let Some(line) = self.read(kind, id).await? else {
                continue;
            };
            match scan(&line) {
                Ok(facts) if facts.kind == kind && facts.id == *id => {
                    found += 1;
                    take.take(facts, line).await?;
                }
                _ => return Err(Failure::Nonsense("another resource than the one asked for")),
            }
        }
        Ok(found)
    }

    /// Takes what names one of these patients where this parameter looks. What the server gives
    /// beyond that comes too.
    pub(crate) async fn of_patients(
        &self,
        query: &Query,
        (param, patients): (&'static str, &[String]),
        notes: &Notes,
        take: &mut dyn Take,
    ) -> Result<(), Failure> {
        let values: Vec<String> = patients.iter().map(|id| format!("Patient/{id}")).collect();
        self.by_values(query, (param, &values), notes, take).await
    }

    /// Searches by a list of values. A list that is refused is halved, until it is known which value the
    /// server does not take (C18).
    pub(crate) async fn by_values(
        &self,
        query: &Query,
        (param, values): (&'static str, &[String]),
        notes: &Notes,
        take: &mut dyn Take,
    ) -> Result<(), Failure> {
        let each = self.http.options.ids_per_search.max(1);
        let mut waiting: Vec<&[String]> = values.chunks(each).rev().collect();
        while let Some(values) = waiting.pop() {
            let narrow = query.clone().with(param, values.join(","));
            match self.walk(&narrow, notes, take).await {
                Ok(()) => {}
                Err(failure) if failure.is_no() && values.len() > 1 => {
                    let (first, second) = values.split_at(values.len() / 2);
                    waiting.extend([second, first]);
                }
                Err(failure) if failure.is_gone() => notes.add(query.kind, Note::Gone, 1),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// A search for what changed later than this. It is a little wider, since servers round differently; each
/// resource is looked at again.
pub(crate) fn since(query: Query, since: Option<Instant>) -> Query {
    match since {
        Some(since) => {
            let wider = Instant::from_millis((since.millis().div_euclid(1000) - 1) * 1000);
            query.with("_lastUpdated", format!("gt{wider}"))
        }
        None => query,
    }
}

impl Upstream {
    /// A search for what the export chooses, where the server can be asked for that: if there is one query of the
    /// type, its parts that have no modifier and that the server lists. Whoever reads the answer chooses again.
    pub(crate) fn chosen(&self, query: Query, selection: &Selection) -> Query {
        let mut filters = selection.filters_of(query.kind);
        let (Some(filter), None) = (filters.next(), filters.next()) else {
            return query;
        };
        let kind = query.kind;
        let plain = filter
            .plain()
            .filter(|(name, _)| self.offer.lists(kind, name));
        plain.fold(query, |query, (name, value)| query.with(name, value))
    }
}
