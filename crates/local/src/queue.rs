//! Hints in memory, with a broker's bad habits: late, repeated, out of order, and back after a
//! drop. The habits are off unless asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sluice_model::{Hint, Lane};
use sluice_ports::{Delivery, Message, PortError, PortKind, Queue, Settle, Settled};
use tokio::sync::{Mutex, mpsc};

#[derive(Clone, Debug)]
struct Waiting {
    message: Message,
    attempt: u32,
    /// Whether it was delivered before and came back.
    again: bool,
}

type Inbox = Arc<Mutex<mpsc::UnboundedReceiver<Waiting>>>;

/// What the queue does wrong, counted over all messages sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// Every n-th message is delivered twice.
    pub repeat_every: Option<u32>,
    /// Every n-th message is held back this long, so that later ones overtake it.
    pub late: Option<(u32, Duration)>,
    /// Every n-th message is lost, as when a broker is wiped.
    pub lose_every: Option<u32>,
}

/// Hints in memory. How many there can be is bounded by the dispatch window.
pub struct MemoryQueue {
    lanes: HashMap<Lane, (Inlet, Inbox)>,
    habits: Habits,
    sent: AtomicU32,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::with_habits(Habits::default())
    }
}

impl MemoryQueue {
    /// A queue that behaves badly on purpose.
    pub fn with_habits(habits: Habits) -> Self {
        let lane = |lane| {
            let (inlet, inbox) = mpsc::unbounded_channel();
            let inlet = Inlet(inlet, Arc::default());
            (lane, (inlet, Arc::new(Mutex::new(inbox))))
        };
        let lanes = [Lane::Jobs, Lane::Chunks, Lane::Dead].map(lane).into();
        Self {
            lanes,
            habits,
            sent: AtomicU32::new(0),
        }
    }

    fn lane(&self, lane: Lane) -> Result<&(Inlet, Inbox), PortError> {
        self.lanes.get(&lane).ok_or_else(closed)
    }
}

/// The way in, and how many wait.
#[derive(Clone)]
struct Inlet(mpsc::UnboundedSender<Waiting>, Arc<AtomicUsize>);

impl Inlet {
    fn put(&self, message: Waiting) -> Result<(), PortError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.send(message).map_err(|_| closed())
    }

    fn put_later(&self, message: Waiting, wait: Duration) {
        let inlet = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _queue_may_be_gone = inlet.put(message);
        });
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, message: Message) -> Result<(), PortError> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let hits = |every: Option<u32>| every.is_some_and(|every| number.is_multiple_of(every));
        let (inlet, _) = self.lane(message.hint.lane())?;
        let message = Waiting {
            message,
            attempt: 0,
            again: false,
        };
        if hits(self.habits.lose_every) {
            return Ok(());
        }
        if hits(self.habits.repeat_every) {
            inlet.put(message.clone())?;
        }
        match self.habits.late {
            Some((every, wait)) if hits(Some(every)) => inlet.put_later(message, wait),
            _ => inlet.put(message)?,
        }
        Ok(())
    }

    async fn waiting(&self, lane: Lane) -> Result<u32, PortError> {
        let (inlet, _) = self.lane(lane)?;
        let waiting = inlet.1.load(Ordering::Relaxed);
        Ok(u32::try_from(waiting).unwrap_or(u32::MAX))
    }

    /// Whoever waits to receive holds the inbox, and then nothing is in it.
    async fn requeue_dead(&self, most: u32) -> Result<u32, PortError> {
        let (inlet, inbox) = self.lane(Lane::Dead)?;
        let Ok(mut inbox) = inbox.try_lock() else {
            return Ok(0);
        };
        let mut moved = 0;
        while moved < most {
            let Ok(dead) = inbox.try_recv() else {
                break;
            };
            inlet.1.fetch_sub(1, Ordering::Relaxed);
            let fresh = Waiting {
                message: dead.message,
                attempt: 0,
                again: false,
            };
            self.lane(fresh.message.hint.lane())?.0.put(fresh)?;
            moved += 1;
        }
        Ok(moved)
    }

    async fn receive(&self, lane: Lane) -> Result<Box<dyn Delivery>, PortError> {
        let (inlet, inbox) = self.lane(lane)?;
        let message = inbox.lock().await.recv().await.ok_or_else(closed)?;
        inlet.1.fetch_sub(1, Ordering::Relaxed);
        let dead = self.lane(Lane::Dead)?.0.clone();
        Ok(Box::new(MemoryDelivery {
            message: Some(message.clone()),
            again: message.again,
            received: message.message,
            inlet: inlet.clone(),
            dead,
        }))
    }
}

struct MemoryDelivery {
    /// Taken when settled; what is left at the drop goes back.
    message: Option<Waiting>,
    received: Message,
    again: bool,
    inlet: Inlet,
    dead: Inlet,
}

#[async_trait]
impl Delivery for MemoryDelivery {
    fn hint(&self) -> &Hint {
        &self.received.hint
    }

    fn is_held(&self) -> bool {
        true
    }

    fn is_redelivered(&self) -> bool {
        self.again
    }

    fn traceparent(&self) -> Option<&str> {
        self.received.traceparent.as_deref()
    }

    fn attempt(&self) -> u32 {
        self.message.as_ref().map_or(0, |message| message.attempt)
    }

    async fn settle(mut self: Box<Self>, how: Settle) -> Result<Settled, PortError> {
        let Some(message) = self.message.take() else {
            return Ok(Settled::Lost);
        };
        match how {
            Settle::Ack => {}
            Settle::RetryAfter(wait) => {
                let older = Waiting {
                    attempt: message.attempt + 1,
                    ..message
                };
                self.inlet.put_later(older, wait);
            }
            Settle::DeadLetter => self.dead.put(message)?,
            Settle::GiveBack => {
                let back = Waiting {
                    again: true,
                    ..message
                };
                self.inlet.put(back)?;
            }
        }
        Ok(Settled::Done)
    }
}

impl Drop for MemoryDelivery {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            let back = Waiting {
                again: true,
                ..message
            };
            let _queue_may_be_gone = self.inlet.put(back);
        }
    }
}

fn closed() -> PortError {
    PortError::new(PortKind::Transient, "using a closed queue")
}
