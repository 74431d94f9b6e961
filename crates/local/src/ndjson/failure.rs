//! Failures of the folder in the words of the port.

use sluice_ports::{PortError, PortKind};

use super::error::LoadError;

/// The data are no longer what the export began with.
pub(super) fn changed() -> PortError {
    PortError::new(
        PortKind::Permanent,
        "reading a data folder that changed while the export ran (start the export again)",
    )
}

/// Index trouble; a disk that is full may be emptied.
pub(super) fn index(error: rusqlite::Error) -> PortError {
    PortError::transient("asking the index of the data folder", error)
}

/// What failed, in the words of the port.
pub(super) const LOADING: &str = "loading the data folder";

/// Loading again failed: perhaps a file is only half there yet, and else somebody will mend it.
pub(super) fn load(error: LoadError) -> PortError {
    PortError::transient(LOADING, error)
}

/// Runs blocking work where it may block.
pub(super) async fn blocking<T, E, F>(work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<PortError> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(PortError::transient("reading the data folder", error).into()),
    }
}
