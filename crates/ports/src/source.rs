//! Where resources come from.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sluice_fhir::facts::GroupFacts;
use sluice_fhir::{Issue, ResourceType};
use sluice_model::{PlannedChunk, Scope, Slice, Snapshot};

use crate::{ByteStream, PortError};

/// About 1 MiB of NDJSON of one type.
///
/// Whole lines, each with its newline; only a line longer than a block spans several, and then no
/// other line shares them. So a block ends a line exactly when its last byte is a newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The type of every line in it; `Bundle` in a slice of deletions. Lines of `OperationOutcome` are no
    /// data: they tell what the reader of the export should know of how the slice was read.
    pub kind: ResourceType,
    /// The bytes.
    pub bytes: Bytes,
    /// Lines that end in it.
    pub lines: u64,
}

/// Blocks of a slice, all of one type before those of the next.
pub type BlockStream = BoxStream<'static, Result<Block, PortError>>;

/// A step of planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStep {
    /// The next chunks; exactly as many as asked for unless the plan ends.
    pub chunks: Vec<PlannedChunk>,
    /// Where to go on; `None` when that was all.
    pub next: Option<String>,
}

/// Why there is no such population.
#[derive(Debug, thiserror::Error)]
pub enum PopulationError {
    /// There is no such Group, or it is not active.
    #[error("no such group")]
    UnknownGroup,
    /// These patients do not exist, or are not members of the Group.
    #[error("{} unknown patients", .0.len())]
    UnknownPatients(Vec<String>),
    /// The source could not say.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A search for Groups; all criteria must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupQuery {
    /// `_id`: any of these.
    pub ids: Vec<String>,
    /// `identifier`: `value`, `system|value` or `|value`, any of these.
    pub identifiers: Vec<String>,
    /// `name`: begins with any of these, whatever the case.
    pub names: Vec<String>,
    /// Skip this many.
    pub offset: usize,
    /// Return at most this many.
    pub limit: usize,
}

impl GroupQuery {
    /// Whether a Group is one of those that are asked for.
    pub fn matches(&self, id: &str, group: &GroupFacts) -> bool {
        let name = group.name.to_lowercase();
        let has_name = |start: &String| name.starts_with(&start.to_lowercase());
        let has_identifier = |token: &String| {
            let (system, value) = match token.split_once('|') {
                Some((system, value)) => (Some(system), value),
                None => (None, token.as_str()),
            };
            group.identifiers.iter().any(|(own, number)| {
                system.is_none_or(|system| system == own) && (value.is_empty() || value == number)
            })
        };
        (self.ids.is_empty() || self.ids.iter().any(|asked| asked == id))
            && (self.names.is_empty() || self.names.iter().any(has_name))
            && (self.identifiers.is_empty() || self.identifiers.iter().any(has_identifier))
    }
}

/// A page of Groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPage {
    /// Groups as JSON, sorted by id.
    pub groups: Vec<Bytes>,
    /// How many match in all.
    pub total: usize,
}

/// Reads resources. Everything asked under one [`Scope`] is answered from one state of the
/// source, so that a slice read twice gives the same bytes.
#[async_trait]
pub trait Source: Send + Sync {
    /// Fixes T and the state that goes with it.
    async fn snapshot(&self) -> Result<Snapshot, PortError>;
    /// Checks that the Group and the patients of a scope exist.
    async fn check(&self, scope: &Scope) -> Result<(), PopulationError>;
    /// Searches Groups.
    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError>;
    /// Reads a Group as JSON, in pieces: it may have a million members.
    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError>;
    /// Cuts the next `limit` slices of about `target` bytes each. All slices of a plan are
    /// disjoint and together cover the scope, each resource once, the resources referred to from
    /// the compartments included. The same call gives the same answer.
    ///
    /// Under a `_since`, a source that keeps deletions adds slices with `deleted` set, as
    /// [`DeletedBundles`](crate::DeletedBundles) makes their lines: of the scope's types and
    /// population, deleted after `_since`, and not there again (R-156, R-158, T-031, T-032). They
    /// are expected to yield bytes, but no resources.
    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError>;
    /// What a reader of this export should know, such as which resources have no known time.
    async fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError>;
    /// Reads one slice.
    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError>;
}
