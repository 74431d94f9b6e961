//! What the self-test has to say.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// An operator should know.
    Warning,
    /// Do not start on this store.
    Refuse,
}

/// What is wrong with a store, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// In plain words.
    pub text: String,
}

impl Finding {
    pub(crate) fn refuse(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Refuse,
            text: text.into(),
        }
    }

    pub(crate) fn warning(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            text: text.into(),
        }
    }
}
