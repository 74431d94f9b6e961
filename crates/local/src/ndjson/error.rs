//! Why a folder cannot be served. Says where and why, never what the data say.

use std::io;
use std::path::{Path, PathBuf};

/// Why a line is left out that holds a resource.
pub(super) const DUPLICATE: &str = "an older copy of a resource that occurs again";
/// Why nothing is taken from a file.
pub(super) const EMPTY_FILE: &str = "the file is empty";

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The disk said no.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, in the present participle.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Nothing to serve.
    #[error("{} holds no NDJSON files of FHIR resources, plain or gzipped", .0.display())]
    NoFiles(PathBuf),
    /// A line that is no resource.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// The file's name within the folder.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// A file of no bytes, as a copy that never began leaves it.
    #[error("{0} is empty; delete it or use lenient=true")]
    Empty(String),
    /// A resource that is there twice.
    #[error("the same resource is at {first} and at {second}; keep one or use lenient=true")]
    Duplicate {
        /// `file:line`.
        first: String,
        /// `file:line`.
        second: String,
    },
    /// Somebody is writing to it.
    #[error("the files changed while they were read; try again when nobody writes to them")]
    Changed,
    /// The index failed.
    #[error("keeping the index of the folder")]
    Index(#[from] rusqlite::Error),
    /// A thread of the load ended early.
    #[error("a part of the load stopped early")]
    Stopped,
}

impl LoadError {
    /// Whether it stays as long as the files do; the rest is trouble that may pass.
    pub(super) fn is_of_the_content(&self) -> bool {
        matches!(
            self,
            Self::Line { .. } | Self::Empty(_) | Self::Duplicate { .. }
        )
    }

    /// Puts an action and a path to an I/O error.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
