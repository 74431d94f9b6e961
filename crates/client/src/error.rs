//! Everything that can end an export early, and what to do about it.

use std::io;

/// Why an export did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server does not start this export.
    #[error("the server refused the export ({status}): {text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server says.
        text: String,
    },
    /// The server gives no access token, or does not take the one that it gave.
    #[error("the server does not let this client in: {text}")]
    NoToken {
        /// What the server says, and what to check.
        text: String,
    },
    /// The server started the export and gave it up.
    #[error("the export failed on the server ({status}): {text}")]
    JobFailed {
        /// The HTTP status.
        status: u16,
        /// What the server says.
        text: String,
    },
    /// The server does not know the export any more.
    #[error("the server does not have this export any more ({text}); start again with --restart")]
    Gone {
        /// What the server says.
        text: String,
    },
    /// A file is not what the manifest says, twice in a row.
    #[error(
        "{file} is not what the manifest says: {reason}; the broken copy was deleted, run again to fetch it anew"
    )]
    Verification {
        /// The file.
        file: String,
        /// What differs.
        reason: String,
    },
    /// The server answers what nobody understands; asking again would not help.
    #[error("{action}: {reason}")]
    Answer {
        /// What was tried.
        action: String,
        /// What the answer was.
        reason: String,
    },
    /// The server could not be reached.
    #[error("{action}: {reason}; run again to go on")]
    Network {
        /// What was tried.
        action: String,
        /// What happened.
        reason: String,
    },
    /// The folder cannot be used.
    #[error("{action}: {source}")]
    Local {
        /// What was tried.
        action: String,
        /// What happened.
        source: io::Error,
    },
    /// The folder belongs to another request.
    #[error(
        "the folder holds another export ({found}); use another --out, or --restart to replace it"
    )]
    OtherRequest {
        /// The request it belongs to.
        found: String,
    },
    /// An option makes no sense.
    #[error("{0}")]
    BadOption(String),
    /// Asked to stop.
    #[error("interrupted; run the same command again to go on")]
    Interrupted,
}

impl ExportError {
    /// For scripts: 2 refused or not let in, 3 job failed, 4 gone, 5 verification, 6 network, 7 local, 130
    /// interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } | Self::NoToken { .. } => 2,
            Self::JobFailed { .. } => 3,
            Self::Gone { .. } => 4,
            Self::Verification { .. } => 5,
            Self::Network { .. } | Self::Answer { .. } => 6,
            Self::Local { .. } | Self::OtherRequest { .. } | Self::BadOption(_) => 7,
            Self::Interrupted => 130,
        }
    }

    pub(crate) fn local(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Local { action, source }
    }

    pub(crate) fn network(action: &str, error: &reqwest::Error) -> Self {
        Self::Network {
            action: action.to_owned(),
            reason: reasons(error),
        }
    }

    pub(crate) fn broken_off(action: &str, reason: impl Into<String>) -> Self {
        Self::Network {
            action: action.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn nonsense(action: &str, reason: impl Into<String>) -> Self {
        Self::Answer {
            action: action.to_owned(),
            reason: reason.into(),
        }
    }
}

/// An error and its causes; a URL could hold a signature and is left out.
fn reasons(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.is_empty() {
        text.push_str("the connection failed");
    }
    text
}
