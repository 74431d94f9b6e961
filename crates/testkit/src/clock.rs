//! Clocks that obey a test.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sluice_fhir::Instant;
use sluice_ports::Clock;

/// 2026-03-01T00:00:00Z, where tests begin.
const START: Instant = Instant::from_millis(1_772_323_200_000);

/// Stands still until it is moved.
pub struct ManualClock(AtomicI64);

impl Default for ManualClock {
    fn default() -> Self {
        Self(AtomicI64::new(START.nanos()))
    }
}

impl ManualClock {
    /// Moves on.
    pub fn pass(&self, time: Duration) {
        let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// Goes with tokio's clock, which a test can pause: then waiting costs nothing.
pub struct PausedClock(tokio::time::Instant);

impl Default for PausedClock {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Instant {
        START.plus(self.0.elapsed())
    }
}
