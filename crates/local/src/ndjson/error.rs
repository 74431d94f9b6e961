//! Why a folder cannot be served. Says where and why, never what the data say.

use std::io;
use std::path::{Path, PathBuf};

/// Why a line is no resource that can be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    NotUtf8,
    /// What serde says about the syntax; such texts hold positions, not content.
    Syntax(String),
    NotAnObject,
    NoType,
    UnknownType,
    /// A Bundle or Parameters.
    Container,
    NoId,
    BadId,
    BadUpdated,
    BadGroup,
    /// Left out in either mode: a Binary or OperationOutcome.
    NoData,
    Duplicate,
    EmptyFile,
}

impl Reason {
    /// The reason without the position, for counting.
    pub(super) fn summary(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not UTF-8",
            Self::Syntax(_) => "not valid JSON",
            Self::NotAnObject => "not a JSON object",
            Self::NoType => "resourceType is missing, repeated or no text",
            Self::UnknownType => "resourceType is not a type of FHIR R4",
            Self::Container => "a Bundle or Parameters; unpack it, one resource a line",
            Self::NoId => "id is missing, repeated or no text",
            Self::BadId => "id is not a FHIR id (1 to 64 of letters, digits, - and .)",
            Self::BadUpdated => "meta.lastUpdated is not a FHIR instant",
            Self::BadGroup => "the members of the Group cannot be read",
            Self::NoData => "Binary and OperationOutcome are never exported",
            Self::Duplicate => "an older copy of a resource that occurs again",
            Self::EmptyFile => "the file is empty",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.summary())?;
        match self {
            Self::Syntax(detail) => write!(f, " ({detail})"),
            _ => Ok(()),
        }
    }
}

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
