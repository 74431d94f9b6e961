//! One error for every port: what went wrong, and whether trying again can help.

use std::error::Error;

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// Try again later.
    Transient,
    /// This process cannot do it yet. Another one may, and so may this one later.
    NotReady,
    /// It is not there.
    NotFound,
    /// A newer build wrote it: this one will fail the same way again, and a newer one will not.
    Newer,
    /// What is there is broken: no build can read it.
    Unreadable,
    /// Trying again will fail the same way.
    Permanent,
}

/// A failure behind a port. `Display` says what was tried; the cause is the source.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct PortError {
    /// The kind.
    pub kind: PortKind,
    /// What was tried, in the present participle: "reading a plan page". Never patient data.
    pub action: String,
    /// The cause.
    #[source]
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl PortError {
    /// An error with no cause underneath.
    pub fn new(kind: PortKind, action: impl Into<String>) -> Self {
        Self {
            kind,
            action: action.into(),
            cause: None,
        }
    }

    /// Trying again may help.
    pub fn transient(
        action: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind: PortKind::Transient,
            action: action.into(),
            cause: Some(cause.into()),
        }
    }

    /// Trying again will not help.
    pub fn permanent(
        action: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind: PortKind::Permanent,
            action: action.into(),
            cause: Some(cause.into()),
        }
    }

    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, PortKind::Transient | PortKind::NotReady)
    }

    /// Whether the one who asks is the wrong one, for now or for good: a newer build or another process can do it.
    /// Then no try has failed.
    pub fn is_for_another(&self) -> bool {
        matches!(self.kind, PortKind::Newer | PortKind::NotReady)
    }

    /// Whether what is there cannot be read by this build: it is a newer one's, or broken. It must hold up
    /// nothing else.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.kind, PortKind::Newer | PortKind::Unreadable)
    }

    /// The action and every cause below it, for a log line.
    pub fn chain(&self) -> String {
        let mut text = self.action.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
