//! The parts of a job's plan: planned one after the other, each by asking the source about a scope of its own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sluice_model::{JobRecord, PlannedChunk, Scope, Slice, Tally, Work};
use sluice_ports::{PlanStep, PortError, Source, foreign};

use crate::{associated, organize};

/// A part of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Part<'j> {
    /// What the source is asked about.
    pub(crate) scope: Cow<'j, Scope>,
    /// Which chunks there are.
    pub(crate) cuts: Cuts,
    /// What they do; surveys and what attaches are numbered as they are planned.
    pub(crate) work: Work,
    /// Bytes that a chunk aims at.
    pub(crate) target: u64,
    /// Whether its chunks begin only when all of the parts before have ended.
    pub(crate) waits: bool,
}

/// Which chunks a part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// The source's, all of them.
    All,
    /// The source's that hold data.
    Data,
    /// The source's that name what was deleted.
    Deletions,
    /// As many as it takes to hold what was exported against what surveys noted.
    Matches,
}

/// Where planning goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// In which part.
    part: usize,
    /// Where in it; absent at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// How many chunks of it there are.
    #[serde(default)]
    chunks: u32,
    /// How many chunks there are in all.
    #[serde(default)]
    ordinal: u32,
    /// Resources expected by all of them.
    #[serde(default)]
    resources: u64,
    /// Chunks before which all earlier ones must have ended.
    #[serde(default)]
    barriers: Vec<u32>,
}

/// The next chunks of a plan.
#[derive(Debug)]
pub(crate) struct Step {
    /// As a source gives them: as many as asked for unless the plan ends.
    pub(crate) planned: PlanStep,
    /// All barriers so far.
    pub(crate) barriers: Vec<u32>,
}

/// The parts of a job's plan, where the tenant's chunks aim at so many bytes.
pub(crate) fn parts(record: &JobRecord, target: u64) -> Vec<Part<'_>> {
    let target = record.form.chunk_bytes(target);
    let special = organize::parts(record, target).or_else(|| associated::parts(record, target));
    if let Some(parts) = special {
        return parts;
    }
    vec![Part {
        scope: Cow::Borrowed(&record.scope),
        cuts: Cuts::All,
        work: Work::Read,
        target,
        waits: false,
    }]
}

/// Whether a plan is the source's own: all of it, to be read as it comes.
pub(crate) fn is_plain(parts: &[Part<'_>]) -> bool {
    matches!(parts, [part] if part.cuts == Cuts::All && part.work.is_read())
}

/// Whether some chunks of a job wait for others to end.
pub(crate) fn has_barriers(record: &JobRecord) -> bool {
    parts(record, 1).iter().any(|part| part.waits)
}

/// The scope under which a chunk of a job was planned and is read.
pub(crate) fn scope_of<'j>(record: &'j JobRecord, chunk: &PlannedChunk) -> Cow<'j, Scope> {
    let cuts = |part: &Part<'_>| match part.cuts {
        Cuts::All => true,
        Cuts::Data | Cuts::Matches => !chunk.slice.deleted,
        Cuts::Deletions => chunk.slice.deleted,
    };
    let same_work =
        |part: &Part<'_>| std::mem::discriminant(&part.work) == std::mem::discriminant(&chunk.work);
    let mut parts = parts(record, 1).into_iter();
    let part = parts.find(|part| same_work(part) && cuts(part));
    part.map_or(Cow::Borrowed(&record.scope), |part| part.scope)
}

/// Plans so many chunks from where the last step ended.
pub(crate) async fn step(
    source: &dyn Source,
    parts: &[Part<'_>],
    limit: usize,
    cursor: Option<&str>,
) -> Result<Step, PortError> {
    // Its cursor is the source's own, too.
    if let [part] = parts
        && is_plain(parts)
    {
        let planned = source.plan(&part.scope, part.target, limit, cursor).await?;
        let barriers = Vec::new();
        return Ok(Step { planned, barriers });
    }
    let mut at: Cursor = match cursor {
        None => Cursor::default(),
        Some(text) => serde_json::from_str(text).map_err(|_| foreign("cursor"))?,
    };
    let mut chunks: Vec<PlannedChunk> = Vec::new();
    while let Some(part) = parts.get(at.part) {
        if chunks.len() == limit {
            break;
        }
        if part.waits && at.from.is_none() && at.chunks == 0 {
            at.barriers.push(at.ordinal);
        }
        let room = limit - chunks.len();
        let more = if part.cuts == Cuts::Matches {
            matches(&at, room)
        } else {
            let from = at.from.as_deref();
            source.plan(&part.scope, part.target, room, from).await?
        };
        let kept = more.chunks.into_iter().filter(|chunk| match part.cuts {
            Cuts::All | Cuts::Matches => true,
            Cuts::Data => !chunk.slice.deleted,
            Cuts::Deletions => chunk.slice.deleted,
        });
        for chunk in kept {
            let work = match part.work {
                Work::Survey { .. } => Work::Survey { survey: at.chunks },
                Work::Attach { .. } => Work::Attach { survey: at.chunks },
                Work::Match { .. } => chunk.work,
                other => other,
            };
            at.resources += chunk.expected.resources;
            at.chunks += 1;
            at.ordinal += 1;
            chunks.push(PlannedChunk { work, ..chunk });
        }
        at.from = more.next;
        if at.from.is_none() {
            at.part += 1;
            at.chunks = 0;
        }
    }
    let barriers = at.barriers.clone();
    let next = (at.part < parts.len()).then(|| serde_json::to_string(&at));
    let next = next.transpose().map_err(|_| foreign("cursor"))?;
    let planned = PlanStep { chunks, next };
    Ok(Step { planned, barriers })
}

/// Resources whose notes one match holds at once: about 16 bytes each, and 44 for each that is about one.
const MATCHED_AT_ONCE: u64 = 1 << 20;

/// Chunks that match, from the one that is due on. How many there are says what was expected, so some may have
/// more to hold than others.
fn matches(at: &Cursor, room: usize) -> PlanStep {
    // What begins it knows what was expected; what goes on has it in its cursor.
    let count = match &at.from {
        Some(count) => count.parse().unwrap_or(1),
        None => at.resources.div_ceil(MATCHED_AT_ONCE),
    };
    let buckets = u64::from(associated::BUCKETS);
    let count = count.clamp(1, buckets);
    let bound = |n: u64| u32::try_from(n * buckets / count).unwrap_or(associated::BUCKETS);
    let first = u64::from(at.chunks);
    let room = u64::try_from(room).unwrap_or(u64::MAX);
    let last = count.min(first.saturating_add(room));
    let chunk = |n: u64| PlannedChunk {
        slice: Slice {
            types: Vec::new(),
            range: String::new(),
            deleted: false,
        },
        work: Work::Match {
            from: bound(n),
            to: bound(n + 1),
        },
        expected: Tally::default(),
    };
    PlanStep {
        chunks: (first..last).map(chunk).collect(),
        next: (last < count).then(|| count.to_string()),
    }
}
