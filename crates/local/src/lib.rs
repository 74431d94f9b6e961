//! Every port inside one process: for the all-in-one mode, for tests, and as the reference that
//! networked adapters must agree with.

mod audit;
mod clock;
mod directory;
mod entropy;
mod index;
mod memory;
pub mod ndjson;
mod queue;
pub mod synthetic;

pub use audit::{FileSink, StdoutSink};
pub use clock::SystemClock;
pub use directory::DirectoryBlobs;
pub use entropy::SystemEntropy;
pub use index::MemoryIndex;
pub use memory::MemoryBlobs;
pub use queue::{Habits, MemoryQueue};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A poisoned lock means that a holder panicked between two plain assignments, which cannot
/// leave these maps half-written.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
