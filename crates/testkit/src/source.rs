//! A source of a few made-up lines, cut as finely as asked.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use sluice_fhir::{Instant, Issue, Level, ResourceType};
use sluice_model::{PlannedChunk, Scope, Slice, Snapshot, Tally};
use sluice_ports::{
    Block, BlockStream, ByteStream, GroupPage, GroupQuery, PlanStep, PopulationError, PortError,
    PortKind, Source,
};
use tokio::sync::Semaphore;

/// Lines by type; the level does not matter, and one Group, `everyone`, has all of them.
pub struct SmallSource {
    lines: Vec<(ResourceType, String)>,
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
}

const GROUP: &str = r#"{"resourceType":"Group","id":"everyone","type":"person","actual":true}"#;

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
            remarks: Vec::new(),
            reading: Reading::Works,
            pages: None,
        }
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

    /// Every line, sorted.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lines.iter().map(|(_, line)| line.clone()).collect();
        lines.sort_unstable();
        lines
    }

    /// The next run of lines of one type with about `target` bytes.
    fn cut(&self, scope: &Scope, from: usize, target: u64) -> Option<(Range<usize>, PlannedChunk)> {
        let wanted = |at: &usize| scope.types.contains(&self.lines[*at].0);
        let start = (from..self.lines.len()).find(wanted)?;
        let kind = self.lines[start].0;
        let mut expected = Tally::default();
        let mut end = start;
        while end < self.lines.len() && self.lines[end].0 == kind && expected.bytes < target {
            expected += Tally {
                resources: 1,
                bytes: u64::try_from(self.lines[end].1.len() + 1).unwrap_or(u64::MAX),
            };
            end += 1;
        }
        let slice = Slice {
            types: vec![kind],
            range: format!("{start}-{end}"),
        };
        Some((start..end, PlannedChunk { slice, expected }))
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
            let Some((range, chunk)) = self.cut(scope, from, target) else {
                return Ok(PlanStep { chunks, next: None });
            };
            from = range.end;
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
            Reading::Works => {}
            Reading::Strays => {
                let line = vec![(ResourceType::GROUP, GROUP.to_owned())];
                return Ok(futures::stream::iter([Ok(block(&line))]).boxed());
            }
            Reading::Fails => {
                return Err(PortError::transient("reading a slice", "the disk is gone"));
            }
            Reading::Panics => unreachable!("told to by a test"),
        }
        let wrong = || PortError::new(PortKind::Permanent, "reading a slice");
        let (from, to) = slice.range.split_once('-').ok_or_else(wrong)?;
        let (from, to): (usize, usize) = (
            from.parse().map_err(|_| wrong())?,
            to.parse().map_err(|_| wrong())?,
        );
        let lines = self.lines.get(from..to).ok_or_else(wrong)?;
        // Three lines a block, so that a chunk has several.
        let blocks: Vec<_> = lines.chunks(3).map(|lines| Ok(block(lines))).collect();
        Ok(futures::stream::iter(blocks).boxed())
    }
}

fn block(lines: &[(ResourceType, String)]) -> Block {
    let mut bytes = BytesMut::new();
    for (_, line) in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\n");
    }
    Block {
        kind: lines
            .first()
            .map_or(ResourceType::PATIENT, |(kind, _)| *kind),
        bytes: bytes.freeze(),
        lines: u64::try_from(lines.len()).unwrap_or(u64::MAX),
    }
}
