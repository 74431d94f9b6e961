//! Time.

use sluice_fhir::Instant;

/// Says what time it is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Instant;
}
