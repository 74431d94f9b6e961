//! A source of a few made-up lines, cut as finely as asked.

mod blocks;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use sluice_fhir::{Instant, Issue, IssueCode, Level, OperationOutcome, Reference, ResourceType};
use sluice_model::{PlannedChunk, Scope, Slice, Snapshot, Tally, Work};
use sluice_ports::{
    Block, BlockStream, ByteStream, GroupPage, GroupQuery, PlanStep, PopulationError, PortError,
    PortKind, Source,
};
use tokio::sync::Semaphore;

use self::blocks::{block, blocks, bundles};

/// Lines by type; the level does not matter, and one Group, `everyone`, has all of them. So it is
/// with times: all lines but the old ones changed after any `_since`, and all deletions happened after it. Where
/// patients are named, whose a line is shows in its text.
pub struct SmallSource {
    lines: Vec<(ResourceType, String)>,
    /// Lines that changed before any `_since`.
    old: BTreeSet<String>,
    /// Types and ids, sorted.
    deleted: Vec<(ResourceType, String)>,
    remarks: Vec<Issue>,
    reading: Reading,
    /// A permit for each page that it may plan; absent if it may plan all.
    pages: Option<Arc<Semaphore>>,
}

/// What happens when a slice is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its lines come.
    Works,
    /// It fails each time.
    Fails,
    /// Whoever reads it panics.
    Panics,
    /// It gives what was not asked for: Groups.
    Strays,
    /// It gives deletions in place of data.
    Bundles,
    /// Its lines come, and before them something to tell.
    Tells,
}

const GROUP: &str = r#"{"resourceType":"Group","id":"everyone","type":"person","actual":true}"#;

/// What a source tells that does.
fn told() -> Result<Block, PortError> {
    let issue = Issue::warning(IssueCode::Incomplete, "the source has more than it gives");
    let line = serde_json::to_string(&OperationOutcome::from(issue))
        .map_err(|error| PortError::permanent("telling something", error))?;
    Ok(block(&[(ResourceType::OPERATION_OUTCOME, line)]))
}

impl SmallSource {
    /// `patients` patients with `observations` observations each.
    pub fn of(patients: usize, observations: usize) -> Self {
        let mut lines = Vec::new();
        let kind = |name: &str| {
            ResourceType::all()
                .find(|kind| kind.name() == name)
                .unwrap_or(ResourceType::PATIENT)
        };
        for number in 0..patients * observations {
            let patient = number / observations.max(1);
            lines.push((
                kind("Observation"),
                format!(
                    r#"{{"resourceType":"Observation","id":"o{number}","subject":{{"reference":"Patient/p{patient}"}}}}"#
                ),
            ));
        }
        for number in 0..patients {
            lines.push((
                kind("Patient"),
                format!(r#"{{"resourceType":"Patient","id":"p{number}"}}"#),
            ));
        }
        Self {
            lines,
            old: BTreeSet::new(),
            deleted: Vec::new(),
            remarks: Vec::new(),
            reading: Reading::Works,
            pages: None,
        }
    }

    /// With more resources of a type, each a line, behind those that it has.
    #[must_use]
    pub fn with<L: Into<String>>(
        mut self,
        kind: ResourceType,
        lines: impl IntoIterator<Item = L>,
    ) -> Self {
        let lines = lines.into_iter().map(|line| (kind, line.into()));
        self.lines.extend(lines);
        self
    }

    /// Whose slices are read like this.
    #[must_use]
    pub fn reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    /// That plans a page for each permit.
    #[must_use]
    pub fn planning_by(mut self, pages: Arc<Semaphore>) -> Self {
        self.pages = Some(pages);
        self
    }

    /// With something to say about every export.
    #[must_use]
    pub fn remarking(mut self, remark: Issue) -> Self {
        self.remarks.push(remark);
        self
    }

    /// Where a line changed before any `_since`.
    #[must_use]
    pub fn unchanged(mut self, line: &str) -> Self {
        self.old.insert(line.to_owned());
        self
    }

    /// Without these resources (`Type/id`) any more: an export with `_since` says so.
    #[must_use]
    pub fn deleting(mut self, names: &[&str]) -> Self {
        for name in names.iter().copied().filter_map(Reference::parse) {
            let (kind, id) = (name.resource_type, format!(r#""id":"{}""#, name.id));
            self.lines
                .retain(|(of, line)| *of != kind || !line.contains(&id));
            self.deleted.push((kind, name.id.to_owned()));
        }
        self.deleted.sort_unstable();
        self
    }

    /// Every line, sorted.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lines.iter().map(|(_, line)| line.clone()).collect();
        lines.sort_unstable();
        lines
    }

    fn is_wanted(&self, scope: &Scope, at: usize) -> bool {
        let (kind, line) = &self.lines[at];
        let is_old = scope.since.is_some() && self.old.contains(line);
        let is_whose = |id: &String| {
            let told = if *kind == ResourceType::PATIENT {
                format!(r#""id":"{id}""#)
            } else {
                format!(r#""Patient/{id}""#)
            };
            line.contains(&told)
        };
        let patients = scope.patients.as_ref();
        let is_theirs = patients.is_none_or(|ids| ids.iter().any(is_whose));
        scope.types.contains(kind) && !is_old && is_theirs
    }

    /// The next run of lines of one type with about `target` bytes, and where it ends. What was
    /// deleted is a last one, as if it were one line more.
    fn cut(&self, scope: &Scope, from: usize, target: u64) -> Option<(usize, PlannedChunk)> {
        let wanted = |at: &usize| self.is_wanted(scope, *at);
        let Some(start) = (from..self.lines.len()).find(wanted) else {
            let chunk = self.deletions(scope).filter(|_| from <= self.lines.len());
            return chunk.map(|chunk| (self.lines.len() + 1, chunk));
        };
        let kind = self.lines[start].0;
        let mut expected = Tally::default();
        let mut end = start;
        let is_next = |at: usize| at < self.lines.len() && self.lines[at].0 == kind;
        while is_next(end) && wanted(&end) && expected.bytes < target {
            expected += Tally {
                resources: 1,
                bytes: u64::try_from(self.lines[end].1.len() + 1).unwrap_or(u64::MAX),
            };
            end += 1;
        }
        let slice = Slice {
            types: vec![kind],
            range: format!("{start}-{end}"),
            deleted: false,
        };
        Some((
            end,
            PlannedChunk {
                work: Work::Read,
                slice,
                expected,
            },
        ))
    }

    fn deletions(&self, scope: &Scope) -> Option<PlannedChunk> {
        scope.since?;
        let mut types: Vec<ResourceType> = self.deleted.iter().map(|(kind, _)| *kind).collect();
        types.dedup();
        types.retain(|kind| scope.types.contains(kind));
        let length = bundles(&self.deleted, &types)?.bytes.len();
        Some(PlannedChunk {
            work: Work::Read,
            slice: Slice {
                types,
                range: "deleted".to_owned(),
                deleted: true,
            },
            expected: Tally {
                resources: 0,
                bytes: u64::try_from(length).unwrap_or(u64::MAX),
            },
        })
    }
}

#[async_trait]
impl Source for SmallSource {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        Ok(Snapshot {
            time: Instant::from_millis(1_772_000_000_000),
            token: "small".to_owned(),
        })
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        match &scope.level {
            Level::Group(id) if id != "everyone" => Err(PopulationError::UnknownGroup),
            _ => match &scope.patients {
                Some(ids) => Err(PopulationError::UnknownPatients(ids.clone())),
                None => Ok(()),
            },
        }
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        let asked = query.ids.is_empty() || query.ids.iter().any(|id| id == "everyone");
        let total = usize::from(asked);
        let groups = (0..query.limit.min(total)).map(|_| Bytes::from_static(GROUP.as_bytes()));
        Ok(GroupPage {
            groups: groups.collect(),
            total,
        })
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        let piece = Ok(Bytes::from_static(GROUP.as_bytes()));
        let stream = futures::stream::iter([piece]).boxed();
        Ok((id == "everyone").then_some(stream))
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        if let Some(pages) = &self.pages {
            let permit = pages.acquire().await;
            let closed = |closed| PortError::permanent("planning", closed);
            permit.map_err(closed)?.forget();
        }
        let mut from: usize = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut chunks = Vec::new();
        while chunks.len() < limit {
            let Some((end, chunk)) = self.cut(scope, from, target) else {
                return Ok(PlanStep { chunks, next: None });
            };
            from = end;
            chunks.push(chunk);
        }
        let next = self.cut(scope, from, target).map(|_| from.to_string());
        Ok(PlanStep { chunks, next })
    }

    async fn remarks(&self, _scope: &Scope) -> Result<Vec<Issue>, PortError> {
        Ok(self.remarks.clone())
    }

    async fn read(&self, _scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        match self.reading {
            Reading::Works | Reading::Tells => {}
            Reading::Strays => {
                let line = vec![(ResourceType::GROUP, GROUP.to_owned())];
                return Ok(futures::stream::iter([Ok(block(&line))]).boxed());
            }
            Reading::Bundles => {
                let stray = [(ResourceType::PATIENT, "stray".to_owned())];
                let block = bundles(&stray, &[ResourceType::PATIENT]);
                return Ok(futures::stream::iter(block.map(Ok)).boxed());
            }
            Reading::Fails => {
                return Err(PortError::transient("reading a slice", "the disk is gone"));
            }
            Reading::Panics => unreachable!("told to by a test"),
        }
        if slice.deleted {
            let block = bundles(&self.deleted, &slice.types);
            return Ok(futures::stream::iter(block.map(Ok)).boxed());
        }
        let wrong = || PortError::new(PortKind::Permanent, "reading a slice");
        let (from, to) = slice.range.split_once('-').ok_or_else(wrong)?;
        let (from, to): (usize, usize) = (
            from.parse().map_err(|_| wrong())?,
            to.parse().map_err(|_| wrong())?,
        );
        let lines = self.lines.get(from..to).ok_or_else(wrong)?;
        // Three lines a block, so that a chunk has several.
        let told = (self.reading == Reading::Tells).then(told);
        let lines = lines.chunks(3).flat_map(blocks).map(Ok);
        let blocks: Vec<_> = told.into_iter().chain(lines).collect();
        Ok(futures::stream::iter(blocks).boxed())
    }
}
