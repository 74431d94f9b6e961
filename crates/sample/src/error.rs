//! What can go wrong while sample data are made.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why sample data could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The folder already holds NDJSON, which would mix with what is to be written.
    #[error("{} already holds {file}; choose an empty folder", folder.display())]
    FolderInUse {
        /// The folder that was asked for.
        folder: PathBuf,
        /// One of the files found there.
        file: String,
    },
    /// The file system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The taker of the lines gave up; for callers of [`generate`](crate::generate).
    #[error("handing on a line of sample data")]
    Taker(#[source] Box<dyn Error + Send + Sync>),
}

impl SampleError {
    /// Says what was being done to which path; for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
