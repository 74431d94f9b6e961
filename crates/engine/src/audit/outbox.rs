//! Writes events into the outbox, which is part of the store of the journal: who answers a client
//! holds nothing, so that nothing is lost with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_fhir::Instant;
use sluice_model::layout;
use sluice_ports::{Creation, PortError, PortKind};

use super::{AuditEntry, fhir};
use crate::{Journal, Ports};

/// How long it is believed how many wait.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// How long counting may take; meanwhile the others believe what was so before.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys listed at a time.
const PAGE: usize = 1000;

/// Writes events down. Clones share what they know of the outbox.
#[derive(Clone)]
pub struct Audit {
    ports: Ports,
    most_waiting: usize,
    look: Arc<Mutex<Option<Look>>>,
    counting: Arc<tokio::sync::Mutex<()>>,
}

/// What the last look at the outbox showed.
struct Look {
    /// How many waited then, counted no further than matters, and what we added since.
    waiting: usize,
    /// Whether it was full then.
    was_full: bool,
    until: Instant,
}

impl Audit {
    /// Writes into the outbox of these ports, which is full when so many events wait in it.
    pub fn new(ports: &Ports, most_waiting: u32) -> Self {
        Self {
            ports: ports.clone(),
            most_waiting: usize::try_from(most_waiting).unwrap_or(usize::MAX),
            look: Arc::default(),
            counting: Arc::default(),
        }
    }

    /// Writes an event down, under an id of its own. It is durable on return, and then what it tells
    /// of may happen; after an error it must not. Should it fail to happen after all, another event
    /// may tell so.
    pub async fn record(&self, entry: &AuditEntry) -> Result<(), PortError> {
        write_down(&self.ports, entry).await?;
        if let Some(look) = self.look().as_mut() {
            look.waiting = look.waiting.saturating_add(1);
        }
        Ok(())
    }

    /// Whether so many events wait for the sink that nothing more should be begun. What others write
    /// down is noticed within ten seconds and the time that counting takes, and so is that there is
    /// room again. One counts; the rest believe meanwhile what was so before.
    pub async fn is_full(&self) -> Result<bool, PortError> {
        let now = self.ports.clock.now();
        if let Some(was_full) = self.believed(Some(now)) {
            return Ok(was_full);
        }
        let _one_counts = match (self.counting.try_lock(), self.believed(None)) {
            (Ok(counting), _) => counting,
            (Err(_), Some(was_full)) => return Ok(was_full),
            (Err(_), None) => self.counting.lock().await,
        };
        if let Some(was_full) = self.believed(Some(now)) {
            return Ok(was_full);
        }
        let counted = tokio::time::timeout(PATIENCE, self.count()).await;
        let late = |late| PortError::transient("counting what waits for the audit in time", late);
        let waiting = counted.map_err(late)??;
        let was_full = waiting >= self.most_waiting;
        *self.look() = Some(Look {
            waiting,
            was_full,
            until: now.plus(BELIEVED_FOR),
        });
        Ok(was_full)
    }

    /// What the last look showed, unless what we added since may have filled it, or it is too old at this time.
    fn believed(&self, now: Option<Instant>) -> Option<bool> {
        let look = self.look();
        let look = look.as_ref()?;
        let is_old = now.is_some_and(|now| now >= look.until);
        let may_be_full = !look.was_full && look.waiting >= self.most_waiting;
        (!is_old && !may_be_full).then_some(look.was_full)
    }

    /// How many wait, counted to the bound.
    async fn count(&self) -> Result<usize, PortError> {
        let (mut waiting, mut after) = (0, None::<String>);
        while waiting < self.most_waiting {
            let limit = PAGE.min(self.most_waiting - waiting);
            let outbox = layout::audit_outbox();
            let blobs = &self.ports.blobs;
            let mut listed = blobs.list(outbox, after.as_deref(), limit).await?;
            waiting += listed.len();
            if listed.len() < limit {
                break;
            }
            after = listed.pop().map(|last| last.key);
        }
        Ok(waiting)
    }

    /// A poisoned lock means that a holder panicked between two plain assignments.
    fn look(&self) -> MutexGuard<'_, Option<Look>> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes one event into the outbox.
pub(crate) async fn write_down(ports: &Ports, entry: &AuditEntry) -> Result<(), PortError> {
    let written = written(ports, entry).await;
    match &written {
        Ok(()) => ports.metrics.audit_recorded(entry.action),
        Err(_) => ports.metrics.audit_not_written(),
    }
    written
}

async fn written(ports: &Ports, entry: &AuditEntry) -> Result<(), PortError> {
    let mut id = [0; 16];
    ports.entropy.fill(&mut id)?;
    let (id, now) = (hex::encode(id), ports.clock.now());
    let line = fhir::line(entry, &id, now);
    let key = layout::audit_event(now, &id[..16]);
    let journal = Journal::new(ports.blobs.clone());
    if journal.create_whole(&key, line.into()).await? == Creation::Exists {
        let taken = "storing an audit event under a new id";
        return Err(PortError::new(PortKind::Transient, taken));
    }
    Ok(())
}
