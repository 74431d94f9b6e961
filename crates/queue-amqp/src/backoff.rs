//! How long to wait before the next try, by chance, so that processes do not come back in step.

use std::sync::Arc;
use std::time::Duration;

use sluice_ports::Entropy;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that grow, each anywhere between nothing and its bound ("full jitter").
pub(crate) struct Backoff {
    entropy: Arc<dyn Entropy>,
    bound: Duration,
}

impl Backoff {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            bound: SHORTEST,
        }
    }

    /// The next wait, after something that worked for `lived` before it failed. What lived longer
    /// than the longest wait was healthy: then the waits begin anew.
    pub(crate) fn after(&mut self, lived: Duration) -> Duration {
        if lived > LONGEST {
            self.bound = SHORTEST;
        }
        let bound = self.bound;
        self.bound = LONGEST.min(bound * 2);
        let mut bytes = [0; 4];
        match self.entropy.fill(&mut bytes) {
            Ok(()) => bound.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)),
            Err(_) => bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_ports::PortError;

    use super::*;

    struct Always(u8);

    impl Entropy for Always {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew_after_health() {
        let mut backoff = Backoff::new(Arc::new(Always(0xFF)));
        let waits: Vec<_> = (0..10).map(|_| backoff.after(Duration::ZERO)).collect();
        assert_eq!(waits[..2], [SHORTEST, SHORTEST * 2]);
        assert_eq!(waits[9], LONGEST);
        assert_eq!(backoff.after(LONGEST * 2), SHORTEST);
    }

    #[test]
    fn chance_decides_within_the_bound() {
        let mut backoff = Backoff::new(Arc::new(Always(0)));
        assert_eq!(backoff.after(Duration::ZERO), Duration::ZERO);
    }
}
