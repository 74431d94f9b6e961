//! Keeps batches that are written at once from overtaking each other where they are about the same
//! resource: what comes later in the input is written later.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_fhir::ResourceType;
use tokio::sync::Notify;

use super::change::Change;

type Key = (ResourceType, String);

/// Who writes what.
#[derive(Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The batch whose keys are taken next.
    next: u64,
    /// The last batch about a resource, of those that are not written.
    last: HashMap<Key, u64>,
    /// Batches whose keys are taken and that are not written.
    open: BTreeSet<u64>,
}

impl Turns {
    /// Waits until every batch before this one that is about the same resources is written. Batches are
    /// numbered from 0, without a gap.
    pub(crate) async fn wait(&self, number: u64, changes: &[Change]) {
        self.until(|state| state.next == number).await;
        let before = self.take(number, changes);
        self.changed.notify_waiters();
        self.until(|state| state.open.is_disjoint(&before)).await;
    }

    /// A batch is written.
    pub(crate) fn done(&self, number: u64) {
        let mut state = self.state();
        state.open.remove(&number);
        state.last.retain(|_, last| *last != number);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes the keys of a batch; gives the batches that had them.
    fn take(&self, number: u64, changes: &[Change]) -> BTreeSet<u64> {
        let mut state = self.state();
        let mut before = BTreeSet::new();
        for change in changes {
            let (kind, id) = change.key();
            if let Some(last) = state.last.insert((kind, id.to_owned()), number)
                && last != number
            {
                before.insert(last);
            }
        }
        state.open.insert(number);
        state.next = number + 1;
        before
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change between is missed.
            changed.as_mut().enable();
            if holds(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn delete(id: &str) -> Vec<Change> {
        vec![Change::Delete(ResourceType::PATIENT, id.to_owned())]
    }

    #[tokio::test]
    async fn a_batch_waits_for_those_before_it_about_the_same() {
        let turns = Arc::new(Turns::default());
        let waiting = |number: u64, id: &'static str| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { turns.wait(number, &delete(id)).await })
        };
        let (second, other) = (waiting(1, "a"), waiting(2, "b"));
        tokio::task::yield_now().await;
        assert!(
            !second.is_finished() && !other.is_finished(),
            "0 is not known yet"
        );
        turns.wait(0, &delete("a")).await;
        other.await.unwrap();
        assert!(!second.is_finished());
        turns.done(0);
        second.await.unwrap();
    }
}
