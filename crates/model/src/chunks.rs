//! A set of chunks, as small as its gaps are few.

use serde::{Deserialize, Serialize};

use crate::ChunkId;

/// Chunks by their numbers in the plan. Written as ranges, each from one number up to before another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chunks(Vec<(u32, u32)>);

impl Chunks {
    /// How many they are.
    pub fn len(&self) -> u32 {
        self.0
            .iter()
            .map(|(from, to)| to.saturating_sub(*from))
            .sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a chunk is one of them.
    pub fn contains(&self, chunk: ChunkId) -> bool {
        let number = chunk.ordinal();
        let after = self.0.partition_point(|(from, _)| *from <= number);
        after > 0 && number < self.0[after - 1].1
    }

    /// These and others.
    #[must_use]
    pub fn with(&self, others: impl IntoIterator<Item = ChunkId>) -> Self {
        let others = others.into_iter().map(|chunk| {
            let number = chunk.ordinal();
            (number, number + 1)
        });
        let mut all: Vec<(u32, u32)> = self.0.iter().copied().chain(others).collect();
        all.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (from, to) in all {
            match ranges.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => ranges.push((from, to)),
            }
        }
        Self(ranges)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_of_chunks_is_what_was_put_into_it() {
        // Numbers that come in no order and more than once, with gaps and without.
        let mut number = 1_u32;
        let (mut chunks, mut want) = (Chunks::default(), BTreeSet::new());
        for _ in 0..40 {
            let mut more = Vec::new();
            for _ in 0..7 {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                more.push(number >> 23);
            }
            want.extend(more.iter().copied());
            chunks = chunks.with(more.into_iter().map(ChunkId::from_ordinal));
            assert_eq!(usize::try_from(chunks.len()).unwrap(), want.len());
        }
        for ordinal in 0..600 {
            let contains = chunks.contains(ChunkId::from_ordinal(ordinal));
            assert_eq!(contains, want.contains(&ordinal), "{ordinal}");
        }
        let apart = chunks.0.windows(2).all(|pair| pair[0].1 < pair[1].0);
        assert!(apart, "as few ranges as can be: {chunks:?}");
        assert!(Chunks::default().is_empty());
    }

    #[test]
    fn a_run_of_chunks_is_one_range() {
        let chunks = Chunks::default().with((0..1000).map(ChunkId::from_ordinal));
        assert_eq!(serde_json::to_string(&chunks).unwrap(), "[[0,1000]]");
    }
}
