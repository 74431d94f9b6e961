//! The machine's clock.

use std::time::UNIX_EPOCH;

use sluice_fhir::Instant;
use sluice_ports::Clock;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that the others use"
        )]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Instant::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}
