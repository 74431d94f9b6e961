//! Chance that repeats itself.

use std::sync::atomic::{AtomicU64, Ordering};

use sluice_ports::{Entropy, PortError};

/// The same bytes in the same order for one seed.
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// Bytes of this seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number , by `SplitMix64`.
    pub fn number(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut state = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^ (state >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
        for part in bytes.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            part.copy_from_slice(&number[..part.len()]);
        }
        Ok(())
    }
}
