//! Says at which call something goes wrong, and whether before or after it took effect: the call
//! fails, or the process that made it dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_ports::PortError;
use tokio_util::sync::CancellationToken;

use crate::SeededEntropy;

/// When a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it does anything: the request got lost.
    Before,
    /// After it did everything: the answer got lost.
    After,
}

/// What goes wrong.
#[derive(Clone)]
enum Fault {
    /// The call says that it failed.
    Fails,
    /// Nothing is heard of the call, nor of the process, any more.
    Kills(CancellationToken),
}

/// Counts the calls of every port that shares it, and lets the chosen one go wrong.
#[derive(Clone, Default)]
pub struct Faults {
    calls: Arc<AtomicU64>,
    chosen: Option<(u64, When, Fault)>,
    slow: Option<Arc<SeededEntropy>>,
}

impl Faults {
    /// Fails the n-th call, from 0.
    pub fn nth(n: u64, when: When) -> Self {
        Self {
            calls: Arc::default(),
            chosen: Some((n, when, Fault::Fails)),
            slow: None,
        }
    }

    /// One fault at a time: each of so many calls fails, before its effect and after it; and the words for that.
    pub fn each_of(calls: u64) -> impl Iterator<Item = (Self, String)> {
        let both = |n| [When::Before, When::After].map(|when| (n, when));
        (0..calls).flat_map(both).map(|(n, when)| {
            let context = format!("call {n} fails {when:?}");
            (Self::nth(n, when), context)
        })
    }

    /// Kills the process at its n-th call, from 0. Whoever runs the process waits for
    /// [`Faults::killed`] and then ends it.
    pub fn killing_at(n: u64, when: When) -> Self {
        Self {
            calls: Arc::default(),
            chosen: Some((n, when, Fault::Kills(CancellationToken::new()))),
            slow: None,
        }
    }

    /// Nothing fails, and every call takes up to a second: others come in between.
    pub fn slow(seed: u64) -> Self {
        Self {
            slow: Some(Arc::new(SeededEntropy::new(seed))),
            ..Self::default()
        }
    }

    /// Returns when the process is to be ended; never if it is not.
    pub async fn killed(&self) {
        match &self.chosen {
            Some((_, _, Fault::Kills(dead))) => dead.cancelled().await,
            _ => std::future::pending().await,
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
        if let Some(dice) = &self.slow {
            tokio::time::sleep(Duration::from_millis(dice.number() % 1000)).await;
        }
        let chosen = self.chosen.as_ref().filter(|(n, ..)| *n == number);
        let Some((_, when, fault)) = chosen else {
            return call.await;
        };
        if *when == When::After {
            call.await?;
        }
        if let Fault::Kills(dead) = fault {
            dead.cancel();
            std::future::pending::<()>().await;
        }
        Err(PortError::transient(
            "doing what a test makes fail",
            "fault injected",
        ))
    }
}
