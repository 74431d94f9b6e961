//! How the server answered, counted: for whoever watches it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Answers by their HTTP status; `None` counts requests that got none.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<BTreeMap<Option<u16>, u64>>);

impl Answers {
    pub(crate) fn count(&self, status: Option<u16>) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry(status).or_default() += 1;
    }

    pub(crate) fn counted(&self) -> BTreeMap<Option<u16>, u64> {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.clone()
    }
}
