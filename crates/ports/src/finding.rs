//! What a self-test has to say: an adapter tries what correctness rests on, and says what is wrong.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// An operator should know.
    Warning,
    /// Nothing may start on it.
    Refuse,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// In plain words.
    pub text: String,
}

impl Finding {
    /// Nothing may start.
    pub fn refuse(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Refuse,
            text: text.into(),
        }
    }

    /// An operator should know.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            text: text.into(),
        }
    }
}
