//! The operating system's random bytes.

use sluice_ports::{Entropy, PortError};

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the entropy that the others use"
        )]
        getrandom::fill(bytes)
            .map_err(|error| PortError::transient("reading random bytes from the system", error))
    }
}
