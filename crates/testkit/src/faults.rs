//! Says which call fails, and whether before or after it took effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sluice_ports::PortError;

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it does anything: the request got lost.
    Before,
    /// After it did everything: the answer got lost.
    After,
}

/// Counts the calls of every port that shares it, and fails the chosen one.
#[derive(Clone, Default)]
pub struct Faults {
    calls: Arc<AtomicU64>,
    chosen: Option<(u64, When)>,
}

impl Faults {
    /// Fails the n-th call, from 0.
    pub fn nth(n: u64, when: When) -> Self {
        Self {
            calls: Arc::default(),
            chosen: Some((n, when)),
        }
    }

    /// Calls counted so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Makes one call.
    pub async fn around<T>(
        &self,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let Some((_, when)) = self.chosen.filter(|(n, _)| *n == number) else {
            return call.await;
        };
        if when == When::After {
            call.await?;
        }
        Err(PortError::transient(
            "doing what a test makes fail",
            "fault injected",
        ))
    }
}
