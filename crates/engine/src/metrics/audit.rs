//! What is counted of the audit: events written down, delivered, and waiting.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::metrics::{Counter, Meter};

use super::label;
use crate::AuditAction;

/// Its instruments.
pub(super) struct AuditInstruments {
    recorded: Counter<u64>,
    delivered: Counter<u64>,
    failures: Counter<u64>,
    unwritten: Counter<u64>,
    /// Absent until this process delivers, and while another does.
    waiting: Arc<Mutex<Option<u64>>>,
}

impl AuditInstruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str| meter.u64_counter(name).build();
        let waiting = Arc::<Mutex<Option<u64>>>::default();
        let seen = Arc::clone(&waiting);
        let gauge = meter.u64_observable_gauge("sluice.audit.waiting");
        let told = gauge.with_callback(move |gauge| {
            if let Some(events) = *seen.lock().unwrap_or_else(PoisonError::into_inner) {
                gauge.observe(events, &[]);
            }
        });
        let _lives_with_the_meter = told.build();
        Self {
            recorded: counter("sluice.audit.recorded"),
            delivered: counter("sluice.audit.delivered"),
            failures: counter("sluice.audit.failures"),
            unwritten: counter("audit.write.failures"),
            waiting,
        }
    }

    pub(super) fn begin_at_zero(&self) {
        for action in AuditAction::ALL {
            self.recorded(action, 0);
        }
        self.delivered.add(0, &[]);
        self.failures.add(0, &[]);
        self.unwritten.add(0, &[]);
    }

    pub(super) fn recorded(&self, action: AuditAction, times: u64) {
        self.recorded.add(times, &[label("action", action.name())]);
    }

    pub(super) fn delivered(&self, events: usize) {
        self.delivered.add(u64::try_from(events).unwrap_or(0), &[]);
    }

    pub(super) fn failed(&self) {
        self.failures.add(1, &[]);
    }

    pub(super) fn not_written(&self) {
        self.unwritten.add(1, &[]);
    }

    pub(super) fn waiting(&self, events: Option<usize>) {
        let events = events.map(|events| u64::try_from(events).unwrap_or(u64::MAX));
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }
}
