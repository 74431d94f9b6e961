//! Messages that wait for somebody to ask for them. The broker's prefetch bounds how many.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_ports::{PortError, PortKind};
use tokio::sync::Semaphore;

use crate::delivery::AmqpDelivery;

type Item = Result<AmqpDelivery, PortError>;

/// From one consumer to any number of receivers.
#[derive(Default)]
pub(crate) struct Inbox {
    items: Mutex<VecDeque<Item>>,
    /// One permit for each item put in.
    put: Permits,
    /// Whether a consumer is registered; for readiness.
    pub(crate) consuming: AtomicBool,
}

struct Permits(Semaphore);

impl Default for Permits {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Inbox {
    pub(crate) fn put(&self, delivery: AmqpDelivery) {
        self.lock().push_back(Ok(delivery));
        self.put.0.add_permits(1);
    }

    /// Tells one receiver what is wrong, unless the last to be told has not asked yet.
    pub(crate) fn complain(&self, error: PortError) {
        let mut items = self.lock();
        if items.is_empty() {
            items.push_back(Err(error));
            self.put.0.add_permits(1);
        }
    }

    /// The next item that is still held. Between the wait and the return nothing is awaited, so a
    /// receiver that is cancelled takes nothing with it.
    pub(crate) async fn take(&self) -> Item {
        loop {
            let permit = self.put.0.acquire().await;
            permit.map_err(|_| closed())?.forget();
            let item = self.lock().pop_front();
            match item {
                Some(Ok(delivery)) if !delivery.hold.is_held() => {}
                Some(item) => return item,
                None => {}
            }
        }
    }

    /// Gives back what nobody asked for.
    pub(crate) fn clear(&self) {
        let unasked = std::mem::take(&mut *self.lock());
        drop(unasked);
    }

    /// Whoever waits is told that nothing will come.
    pub(crate) fn close(&self) {
        self.put.0.close();
        self.clear();
    }

    /// Whether nothing will ever come.
    pub(crate) fn is_closed(&self) -> bool {
        self.put.0.is_closed()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn closed() -> PortError {
    PortError::new(PortKind::Transient, "receiving from a closed queue")
}
