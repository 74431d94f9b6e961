//! The load put on a server: so many requests at once and in a second, fewer while it says that it
//! has too many.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// Requests that go well before one more is let run beside the others.
const GOOD: u32 = 32;

/// What all requests to a server share.
pub(crate) struct Budget {
    slots: Semaphore,
    most: usize,
    gap: Duration,
    state: Mutex<State>,
}

struct State {
    /// Requests at once, for now.
    limit: usize,
    /// Permits that are to vanish when they come back.
    debt: usize,
    /// Requests that went well in a row.
    good: u32,
    next: Instant,
    paused_until: Instant,
}

/// Leave for one request.
pub(crate) struct Slot<'b> {
    budget: &'b Budget,
    permit: Option<SemaphorePermit<'b>>,
}

impl Budget {
    pub(crate) fn new(most: usize, per_second: u32) -> Self {
        let most = most.max(1);
        let now = Instant::now();
        Self {
            slots: Semaphore::new(most),
            most,
            gap: Duration::from_secs(1)
                .checked_div(per_second)
                .unwrap_or_default(),
            state: Mutex::new(State {
                limit: most,
                debt: 0,
                good: 0,
                next: now,
                paused_until: now,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for leave.
    pub(crate) async fn slot(&self) -> Slot<'_> {
        let permit = self.slots.acquire().await.ok();
        let slot = Slot {
            budget: self,
            permit,
        };
        loop {
            let at = {
                let mut state = self.state();
                let at = state.next.max(state.paused_until).max(Instant::now());
                state.next = at + self.gap;
                at
            };
            sleep_until(at).await;
            if self.state().paused_until <= Instant::now() {
                return slot;
            }
        }
    }

    /// The server has too much to do: half as many at once, and none for a while.
    pub(crate) fn throttled(&self, wait: Duration) {
        let mut state = self.state();
        state.good = 0;
        state.paused_until = state.paused_until.max(Instant::now() + wait);
        let limit = (state.limit / 2).max(1);
        let less = state.limit - limit;
        state.limit = limit;
        state.debt += less - self.slots.forget_permits(less);
    }

    /// A request went well; after many, one more at once.
    pub(crate) fn worked(&self) {
        let mut state = self.state();
        state.good += 1;
        if state.good < GOOD || state.limit >= self.most {
            return;
        }
        state.good = 0;
        state.limit += 1;
        if state.debt > 0 {
            state.debt -= 1;
        } else {
            self.slots.add_permits(1);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        if state.debt > 0
            && let Some(permit) = self.permit.take()
        {
            state.debt -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_many_requests_halve_what_runs_at_once_and_success_brings_it_back() {
        let budget = Budget::new(4, 0);
        let held = [
            budget.slot().await,
            budget.slot().await,
            budget.slot().await,
        ];
        budget.throttled(Duration::ZERO);
        assert_eq!(budget.state().limit, 2);
        drop(held);
        assert_eq!(budget.slots.available_permits(), 2);
        budget.throttled(Duration::ZERO);
        budget.throttled(Duration::ZERO);
        assert_eq!(
            (budget.state().limit, budget.slots.available_permits()),
            (1, 1)
        );
        for _ in 0..10 * GOOD {
            budget.worked();
        }
        assert_eq!(
            (budget.state().limit, budget.slots.available_permits()),
            (4, 4)
        );
    }
}
