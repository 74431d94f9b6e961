//! A whole data set in memory, for looking at it.

use sluice_sample::{SampleOptions, SampleSummary, generate};

/// A type and a line of it.
pub(crate) type Line = (&'static str, Vec<u8>);

/// Every line of a data set, and its summary.
pub(crate) fn lines_of(patients: u32, seed: u64) -> (Vec<Line>, SampleSummary) {
    let mut lines = Vec::new();
    let summary = generate(&SampleOptions { patients, seed }, &mut |kind, line| {
        lines.push((kind, line.to_vec()));
        Ok(())
    });
    (lines, summary.unwrap())
}
