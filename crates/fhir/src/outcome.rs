//! OperationOutcome: the one shape of every error, warning and remark.

use serde::{Deserialize, Deserializer, Serialize};

/// How bad an issue is. C-029: error goes with 4xx, fatal with 5xx, information with 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The server failed.
    Fatal,
    /// The request or part of the result failed.
    Error,
    /// Worth a look.
    Warning,
    /// A remark.
    Information,
}

/// The codes of FHIR's issue-type that Sluice uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueCode {
    /// The body or URL is malformed.
    Structure,
    /// A value is malformed.
    Invalid,
    /// Not implemented or not allowed here.
    NotSupported,
    /// No such thing.
    NotFound,
    /// Not allowed.
    Forbidden,
    /// Not allowed, by what the access token opens.
    Security,
    /// Nobody showed who they are.
    Login,
    /// Who asks is not known.
    Unknown,
    /// The same is there already.
    Duplicate,
    /// It does not go with what is there.
    Conflict,
    /// Its time is up.
    Expired,
    /// It was there.
    Deleted,
    /// Too many requests.
    Throttled,
    /// Try again later.
    Transient,
    /// It took too long.
    Timeout,
    /// The server failed.
    Exception,
    /// Something went wrong with one part of the work.
    Processing,
    /// The result is not whole.
    Incomplete,
    /// The request is too large.
    TooLong,
    /// A remark.
    Informational,
    /// A required element is missing.
    Required,
}

/// One issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// Which kind.
    pub code: IssueCode,
    /// What happened and what to do, in a sentence. Never patient data.
    pub text: String,
    /// The parameter or element it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

impl Issue {
    /// An error.
    pub fn error(code: IssueCode, text: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, text)
    }

    /// A warning.
    pub fn warning(code: IssueCode, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, text)
    }

    /// A remark.
    pub fn information(text: impl Into<String>) -> Self {
        Self::new(Severity::Information, IssueCode::Informational, text)
    }

    /// Any issue.
    pub fn new(severity: Severity, code: IssueCode, text: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            text: text.into(),
            expression: None,
        }
    }

    /// The same, about one parameter or element.
    #[must_use]
    pub fn about(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }
}

/// Characters of what a client chose that are told back to it.
const SHOWN: usize = 64;

/// The beginning of a name that a client chose, for an issue to tell of it.
pub fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

/// A list of issues as a resource. Its JSON is FHIR's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationOutcome {
    /// At least one.
    pub issues: Vec<Issue>,
}

impl From<Issue> for OperationOutcome {
    fn from(issue: Issue) -> Self {
        Self {
            issues: vec![issue],
        }
    }
}

impl Serialize for OperationOutcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let issues: Vec<_> = self.issues.iter().map(issue_json).collect();
        serde_json::json!({ "resourceType": "OperationOutcome", "issue": issues })
            .serialize(serializer)
    }
}

/// What is read of an issue of FHIR's.
#[derive(Deserialize)]
struct RawIssue {
    severity: Severity,
    code: IssueCode,
    diagnostics: String,
    #[serde(default)]
    expression: Vec<String>,
}

/// Reads what is written here, not any outcome of any server.
impl<'de> Deserialize<'de> for OperationOutcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            issue: Vec<RawIssue>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let issues = raw.issue.into_iter().map(|raw| Issue {
            severity: raw.severity,
            code: raw.code,
            text: raw.diagnostics,
            expression: raw.expression.into_iter().next(),
        });
        Ok(Self {
            issues: issues.collect(),
        })
    }
}

/// The text stands in both places: clients in the field look into one or the other.
fn issue_json(issue: &Issue) -> serde_json::Value {
    let mut json = serde_json::json!({
        "severity": issue.severity,
        "code": issue.code,
        "details": { "text": issue.text },
        "diagnostics": issue.text,
    });
    if let Some(expression) = &issue.expression {
        json["expression"] = serde_json::json!([expression]);
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_fhirs() {
        let issue = Issue::error(IssueCode::NotSupported, "no").about("_type");
        let json = serde_json::to_value(OperationOutcome::from(issue)).unwrap();
        assert_eq!(json["resourceType"], "OperationOutcome");
        assert_eq!(json["issue"][0]["code"], "not-supported");
        assert_eq!(json["issue"][0]["expression"][0], "_type");
    }
}
