//! The parts of a job's plan: planned one after the other, each by asking the source about a scope of its own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sluice_model::{ChunkId, JobRecord, JobRef, PlanPage, PlannedChunk, Scope, Slice, Tally, Work};
use sluice_ports::{PlanStep, PortError, Source, foreign};

use crate::{Journal, associated, organize};

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
    /// The slices of the surveys again: the source might cut them otherwise by now.
    Surveyed,
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
    /// The first survey, and how many there are.
    #[serde(default)]
    surveys: (u32, u32),
}

impl Cuts {
    fn keep(self, slice: &Slice) -> bool {
        match self {
            Self::All | Self::Matches | Self::Surveyed => true,
            Self::Data => !slice.deleted,
            Self::Deletions => slice.deleted,
        }
    }
}

impl Cursor {
    /// Counts a chunk, and says what it does.
    fn takes(&mut self, work: Work, chunk: PlannedChunk) -> PlannedChunk {
        let work = match work {
            Work::Survey { .. } => {
                let first = self.ordinal.saturating_sub(self.chunks);
                self.surveys = (first, self.chunks + 1);
                Work::Survey {
                    survey: self.chunks,
                }
            }
            Work::Attach { .. } => Work::Attach {
                survey: self.chunks,
            },
            Work::Match { .. } => chunk.work,
            other => other,
        };
        self.resources += chunk.expected.resources;
        self.chunks += 1;
        self.ordinal += 1;
        PlannedChunk { work, ..chunk }
    }
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

/// Whether some chunks of a job wait for others to end: so it is where Provenances come along, but in blocks.
pub(crate) fn has_barriers(record: &JobRecord) -> bool {
    record.form.organize.is_none() && associated::is_due(record)
}

/// The scope under which a chunk of a job was planned and is read.
pub(crate) fn scope_of<'j>(record: &'j JobRecord, chunk: &PlannedChunk) -> Cow<'j, Scope> {
    let same_work =
        |part: &Part<'_>| std::mem::discriminant(&part.work) == std::mem::discriminant(&chunk.work);
    let mut parts = parts(record, 1).into_iter();
    let part = parts.find(|part| same_work(part) && part.cuts.keep(&chunk.slice));
    part.map_or(Cow::Borrowed(&record.scope), |part| part.scope)
}

/// Plans so many chunks from where the last step ended.
pub(crate) async fn step(
    source: &dyn Source,
    (journal, job): (&Journal, &JobRef),
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
    let page_begins = at.ordinal;
    while let Some(part) = parts.get(at.part) {
        if chunks.len() == limit {
            break;
        }
        if part.waits && at.from.is_none() && at.chunks == 0 {
            at.barriers.push(at.ordinal);
        }
        let room = limit - chunks.len();
        let more = match part.cuts {
            Cuts::Matches => matches(&at, room),
            Cuts::Surveyed => {
                let here = (page_begins, chunks.as_slice());
                surveyed((journal, job), here, &at, room).await?
            }
            Cuts::All | Cuts::Data | Cuts::Deletions => {
                let from = at.from.as_deref();
                source.plan(&part.scope, part.target, room, from).await?
            }
        };
        for chunk in more.chunks {
            if part.cuts.keep(&chunk.slice) {
                chunks.push(at.takes(part.work, chunk));
            }
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

/// The slices of surveys, from the one that is due on: from the pages that have them, or from the one in the making.
async fn surveyed(
    (journal, job): (&Journal, &JobRef),
    (page_begins, here): (u32, &[PlannedChunk]),
    at: &Cursor,
    room: usize,
) -> Result<PlanStep, PortError> {
    let (first, count) = at.surveys;
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let last = count.min(at.chunks.saturating_add(room));
    let mut page: Option<PlanPage> = None;
    let mut chunks = Vec::new();
    for number in at.chunks..last {
        let id = ChunkId::from_ordinal(first + number);
        let found = if id.ordinal() >= page_begins {
            here.get(usize::try_from(id.ordinal() - page_begins).unwrap_or(usize::MAX))
        } else {
            if page.as_ref().is_none_or(|page| page.page != id.page) {
                page = journal.page(job, id.page).await?;
            }
            page.as_ref().and_then(|page| page.chunk(id))
        };
        let found = found.ok_or_else(|| foreign("survey"))?;
        chunks.push(found.clone());
    }
    Ok(PlanStep {
        chunks,
        next: (last < count).then(|| count.to_string()),
    })
}

/// Resources for each of which, as far as was expected, there is one match.
const A_MATCH: u64 = 1 << 20;

/// Chunks that match, from the one that is due on. A source may have expected far too little: then they have more to
/// do, and hold no more at once.
fn matches(at: &Cursor, room: usize) -> PlanStep {
    // What begins it knows what was expected; what goes on has it in its cursor.
    let count = match &at.from {
        Some(count) => count.parse().unwrap_or(1),
        None => at.resources.div_ceil(A_MATCH),
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
