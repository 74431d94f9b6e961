//! What to make, how far it has come, and what was made.

use std::collections::BTreeMap;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleOptions {
    /// How many patients; each comes with about 350 resources and 450 kB of NDJSON.
    pub patients: u32,
    /// The seed that everything follows from.
    pub seed: u64,
}

/// How far the writing of a data set has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleProgress {
    /// Patients written so far, with everything that is theirs.
    pub patients: u32,
    /// Bytes of NDJSON so far, line ends included.
    pub bytes: u64,
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleSummary {
    /// Resources, which is lines.
    pub resources: u64,
    /// Bytes of NDJSON, line ends included.
    pub bytes: u64,
    /// Resources by type name.
    pub per_type: BTreeMap<&'static str, u64>,
}

impl SampleSummary {
    /// Counts one more line of a type.
    pub(crate) fn count(&mut self, kind: &'static str, line: &[u8]) {
        self.resources += 1;
        self.bytes += line.len() as u64 + 1;
        *self.per_type.entry(kind).or_default() += 1;
    }
}
