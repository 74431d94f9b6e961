//! A source answers everything about one scope from one state: its slices are disjoint, cover the
//! scope, and read the same each time.

use std::collections::BTreeMap;

use futures::StreamExt;
use sluice_fhir::{Level, ResourceType};
use sluice_model::{Scope, Slice, Tally};

use crate::{Block, GroupQuery, PlanStep, PopulationError, PortError, Source};

/// What a source says of how much a slice will give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Neither more nor less.
    Exact,
    /// About.
    Estimate,
}

/// What the source under test holds.
#[derive(Clone, Debug)]
pub struct Population {
    /// How exact its plans are.
    pub promise: Promise,
    /// Lines of the system level by type, sorted, without newlines.
    pub system: BTreeMap<ResourceType, Vec<String>>,
    /// Lines of the patient level.
    pub patients: BTreeMap<ResourceType, Vec<String>>,
    /// A Group, and its lines.
    pub group: (String, BTreeMap<ResourceType, Vec<String>>),
}

/// Runs the suite.
///
/// # Panics
///
/// When the source does not do what a source must.
pub async fn source(source: &dyn Source, population: &Population) -> Result<(), PortError> {
    let levels = [
        (Level::System, &population.system),
        (Level::Patient, &population.patients),
        (
            Level::Group(population.group.0.clone()),
            &population.group.1,
        ),
    ];
    for (level, expected) in levels {
        let scope = Scope {
            selection: sluice_model::Selection::default(),
            types: expected.keys().copied().collect(),
            level,
            since: None,
            until: None,
            patients: None,
            snapshot: source.snapshot().await?,
        };
        assert!(source.check(&scope).await.is_ok());
        for (target, limit) in [(1, 1), (600, 3), (1 << 30, 64)] {
            let found = slices_cover_the_scope(source, &scope, expected, (target, limit)).await?;
            population.promise.holds(found);
        }
        types_can_be_picked(source, &scope, expected).await?;
    }
    groups_can_be_found(source, &population.group.0).await?;
    unknown_populations_are_refused(source).await
}

pub(super) async fn plan(
    source: &dyn Source,
    scope: &Scope,
    (target, limit): (u64, usize),
) -> Result<Vec<PlanStep>, PortError> {
    let (mut steps, mut cursor) = (Vec::new(), None);
    loop {
        let step = source.plan(scope, target, limit, cursor.as_deref()).await?;
        let again = source.plan(scope, target, limit, cursor.as_deref()).await?;
        assert_eq!(step, again, "planning is repeatable");
        assert!(step.chunks.len() <= limit);
        cursor.clone_from(&step.next);
        if cursor.is_some() {
            assert_eq!(step.chunks.len(), limit, "only the last step may be short");
        }
        steps.push(step);
        if cursor.is_none() {
            return Ok(steps);
        }
    }
}

async fn slices_cover_the_scope(
    source: &dyn Source,
    scope: &Scope,
    expected: &BTreeMap<ResourceType, Vec<String>>,
    sizes: (u64, usize),
) -> Result<(u64, u64), PortError> {
    let mut found: BTreeMap<ResourceType, Vec<String>> = BTreeMap::new();
    let mut promised = Tally::default();
    for chunk in plan(source, scope, sizes)
        .await?
        .into_iter()
        .flat_map(|step| step.chunks)
    {
        assert!(!chunk.slice.deleted, "deletions only with _since (T-032)");
        promised += chunk.expected;
        let blocks = read(source, scope, &chunk.slice).await?;
        assert_eq!(
            blocks,
            read(source, scope, &chunk.slice).await?,
            "reading is repeatable"
        );
        for (kind, lines) in lines(&blocks) {
            assert!(chunk.slice.types.contains(&kind));
            found.entry(kind).or_default().extend(lines);
        }
    }
    for lines in found.values_mut() {
        lines.sort_unstable();
    }
    assert_eq!(&found, expected, "each resource once, and all of them");
    let total: usize = expected.values().map(Vec::len).sum();
    Ok((promised.resources, u64::try_from(total).unwrap_or(u64::MAX)))
}

impl Promise {
    /// Compares what was promised with what came.
    fn holds(self, (promised, came): (u64, u64)) {
        match self {
            Self::Exact => assert_eq!(promised, came, "promised"),
            Self::Estimate => assert!(promised > 0 || came == 0, "promised nothing of {came}"),
        }
    }
}

pub(super) async fn read(
    source: &dyn Source,
    scope: &Scope,
    slice: &Slice,
) -> Result<Vec<Block>, PortError> {
    let mut stream = source.read(scope, slice).await?;
    let mut blocks = Vec::new();
    while let Some(block) = stream.next().await {
        blocks.push(block?);
    }
    Ok(blocks)
}

/// The lines of blocks by type; checks what a block promises.
pub(super) fn lines(blocks: &[Block]) -> BTreeMap<ResourceType, Vec<String>> {
    let mut whole: BTreeMap<ResourceType, Vec<u8>> = BTreeMap::new();
    let mut last = None;
    for block in blocks {
        assert!(!block.bytes.is_empty());
        let newlines = String::from_utf8_lossy(&block.bytes).matches('\n').count();
        assert_eq!(u64::try_from(newlines).ok(), Some(block.lines));
        let ends_a_line = block.bytes.ends_with(b"\n");
        assert!(
            ends_a_line || block.lines == 0,
            "a line in pieces stands alone"
        );
        if last != Some(block.kind) {
            assert!(!whole.contains_key(&block.kind), "one type after the other");
        }
        last = Some(block.kind);
        whole.entry(block.kind).or_default().extend(&block.bytes);
    }
    let split = |(kind, bytes): (ResourceType, Vec<u8>)| {
        assert!(bytes.ends_with(b"\n"), "the last line ends");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (kind, text.lines().map(str::to_owned).collect())
    };
    whole.into_iter().map(split).collect()
}

async fn types_can_be_picked(
    source: &dyn Source,
    scope: &Scope,
    expected: &BTreeMap<ResourceType, Vec<String>>,
) -> Result<(), PortError> {
    let one = Scope {
        types: vec![ResourceType::PATIENT],
        ..scope.clone()
    };
    let patients = expected.get(&ResourceType::PATIENT).cloned();
    let expected = patients
        .map(|lines| (ResourceType::PATIENT, lines))
        .into_iter()
        .collect();
    let found = slices_cover_the_scope(source, &one, &expected, (600, 3)).await?;
    Promise::Estimate.holds(found);
    Ok(())
}

async fn groups_can_be_found(source: &dyn Source, id: &str) -> Result<(), PortError> {
    assert!(source.group(id).await?.is_some());
    assert!(source.group("no-such-group").await?.is_none());
    let query = GroupQuery {
        ids: vec![id.to_owned()],
        limit: 10,
        ..GroupQuery::default()
    };
    let page = source.groups(&query).await?;
    assert_eq!((page.total, page.groups.len()), (1, 1));
    let everything = source
        .groups(&GroupQuery {
            limit: 0,
            ..GroupQuery::default()
        })
        .await?;
    assert!(everything.total >= 1 && everything.groups.is_empty());
    Ok(())
}

async fn unknown_populations_are_refused(source: &dyn Source) -> Result<(), PortError> {
    let mut scope = Scope {
        selection: sluice_model::Selection::default(),
        types: vec![ResourceType::PATIENT],
        level: Level::Group("no-such-group".to_owned()),
        since: None,
        until: None,
        patients: None,
        snapshot: source.snapshot().await?,
    };
    let refused = source.check(&scope).await;
    assert!(matches!(refused, Err(PopulationError::UnknownGroup)));
    scope.level = Level::Patient;
    scope.patients = Some(vec!["no-such-patient".to_owned()]);
    let refused = source.check(&scope).await;
    assert!(
        matches!(refused, Err(PopulationError::UnknownPatients(ids)) if ids == ["no-such-patient"])
    );
    Ok(())
}
