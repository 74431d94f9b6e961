//! A job's fields in Redis and back.

use std::str::FromStr;

use redis::FromRedisValue;
use sluice_fhir::Instant;
use sluice_model::{JobState, Tally};
use sluice_ports::{HandedOut, JobInside, JobStatus, Planned, PortError, PortKind};

/// The fields that are read back; the order is that of [`fields`] and [`Found`].
pub(crate) const FIELDS: [&str; 10] = [
    "state",
    "accepted_at",
    "ended_at",
    "chunks",
    "expected_resources",
    "expected_bytes",
    "sealed",
    "done",
    "resources",
    "bytes",
];

/// Tallies are added up in Redis, which refuses to pass 2^63 when the chunk's bit is already set.
/// No chunk comes near this.
const MOST: u64 = 1 << 52;

pub(crate) fn bounded(tally: Tally) -> Tally {
    Tally {
        resources: tally.resources.min(MOST),
        bytes: tally.bytes.min(MOST),
    }
}

pub(crate) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Accepted => "accepted",
        JobState::Exporting => "exporting",
        JobState::Complete => "complete",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// Every state; the life cycle itself stays in the model.
pub(crate) const STATES: [JobState; 5] = [
    JobState::Accepted,
    JobState::Exporting,
    JobState::Complete,
    JobState::Failed,
    JobState::Cancelled,
];

/// A status as fields and values. `done` and the tally are what was known before the bits here.
pub(crate) fn fields(status: &JobStatus) -> Vec<String> {
    let tally = bounded(status.tally);
    let ended_at = status.ended_at.map(|at| at.nanos().to_string());
    let values = [
        state_name(status.state).to_owned(),
        status.accepted_at.nanos().to_string(),
        ended_at.unwrap_or_default(),
        status.planned.chunks.to_string(),
        status.planned.expected.resources.to_string(),
        status.planned.expected.bytes.to_string(),
        u8::from(status.planned.sealed).to_string(),
        status.done.to_string(),
        tally.resources.to_string(),
        tally.bytes.to_string(),
    ];
    let pairs = FIELDS.into_iter().zip(values);
    pairs
        .flat_map(|(field, value)| [field.to_owned(), value])
        .collect()
}

/// What `get.lua` answers: fields, bits set, chunks outstanding, their tallies.
pub(crate) type Found = (Vec<Option<String>>, u32, u32, Vec<String>);

pub(crate) fn status((fields, bits, outstanding, flight): Found) -> Result<JobStatus, PortError> {
    let mut values = fields.into_iter().map(Option::unwrap_or_default);
    let mut next = || values.next().unwrap_or_default();
    let state = next();
    let state = STATES.into_iter().find(|known| state_name(*known) == state);
    let mut status = JobStatus::accepted(instant(&next())?);
    status.state = state.ok_or_else(unreadable)?;
    let ended_at = next();
    if !ended_at.is_empty() {
        status.ended_at = Some(instant(&ended_at)?);
    }
    status.planned = Planned {
        chunks: number(&next())?,
        expected: Tally {
            resources: number(&next())?,
            bytes: number(&next())?,
        },
        sealed: next() == "1",
    };
    status.done = number::<u32>(&next())?.saturating_add(bits);
    status.tally = Tally {
        resources: number(&next())?,
        bytes: number(&next())?,
    };
    for text in &flight {
        status.in_flight += tally(text)?;
    }
    status.outstanding = outstanding;
    Ok(status)
}

/// What `inside.lua` answers: chunks with the microseconds at which they were heard of, one after the
/// other; which of them were begun; how many failed.
pub(crate) type Inside = (Vec<String>, Vec<u32>, u32);

pub(crate) fn inside((out, begun, failed): Inside) -> Result<JobInside, PortError> {
    let mut handed_out = Vec::new();
    for pair in out.chunks_exact(2) {
        let chunk = number(&pair[0])?;
        handed_out.push(HandedOut {
            chunk,
            heard: Instant::from_nanos(micros(&pair[1])?.saturating_mul(1000)),
            begun: begun.contains(&chunk),
        });
    }
    handed_out.sort_unstable_by_key(|out| out.chunk);
    Ok(JobInside { handed_out, failed })
}

/// Redis keeps these as a double, and writes one of this size with or without an exponent.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is a whole number below 2^53"
)]
fn micros(text: &str) -> Result<i64, PortError> {
    number::<f64>(text).map(|micros| micros as i64)
}

/// A tally as one value.
pub(crate) fn tally_text(tally: Tally) -> String {
    let tally = bounded(tally);
    format!("{} {}", tally.resources, tally.bytes)
}

fn tally(text: &str) -> Result<Tally, PortError> {
    let (resources, bytes) = text.split_once(' ').ok_or_else(unreadable)?;
    Ok(Tally {
        resources: number(resources)?,
        bytes: number(bytes)?,
    })
}

fn instant(text: &str) -> Result<Instant, PortError> {
    number(text).map(Instant::from_nanos)
}

fn number<N: FromStr>(text: &str) -> Result<N, PortError> {
    text.parse().map_err(|_| unreadable())
}

fn unreadable() -> PortError {
    PortError::new(PortKind::Permanent, "reading what redis holds of a job")
}

/// A script's answer that is 1 or 0.
pub(crate) struct Flag(pub(crate) bool);

impl FromRedisValue for Flag {
    fn from_redis_value(value: redis::Value) -> Result<Self, redis::ParsingError> {
        i64::from_redis_value(value).map(|number| Self(number == 1))
    }
}
