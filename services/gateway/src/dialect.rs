//! Whose statuses and issue codes a tenant's clients hear: [`crate::error`] says what failed and what to do
//! about it, and here is what two other products call the same (C-012 to C-015, C-029, C-039, C-049).

use actix_web::http::StatusCode;
use sluice_fhir::rules::{Broken, Errors};
use sluice_fhir::{Issue, IssueCode, Severity};

use crate::error::ApiError;

/// A status and issues in a tenant's words.
pub(crate) fn told(
    errors: Errors,
    error: &ApiError,
    (status, issues): (StatusCode, Vec<Issue>),
) -> (StatusCode, Vec<Issue>) {
    match errors {
        Errors::Sluice => (status, issues),
        Errors::Soarian => soarian(error, (status, issues)),
        Errors::Millennium => millennium(error, (status, issues)),
    }
}

fn soarian(
    error: &ApiError,
    (status, issues): (StatusCode, Vec<Issue>),
) -> (StatusCode, Vec<Issue>) {
    let (status, code) = match error {
        ApiError::HouseRule(refusal) if refusal.broken == Broken::Type => {
            (StatusCode::NOT_FOUND, Some(IssueCode::NotSupported))
        }
        ApiError::NotAcceptable | ApiError::HeadersMissing => (status, Some(IssueCode::Structure)),
        ApiError::LevelOff => (status, Some(IssueCode::NotFound)),
        ApiError::NoToken | ApiError::Token(_) => (status, Some(IssueCode::Unknown)),
        ApiError::ScopeTooNarrow
        | ApiError::NotGranted(_)
        | ApiError::NothingGranted
        | ApiError::LevelForbidden => (status, Some(IssueCode::Security)),
        _ => (status, None),
    };
    // 501 is told as an error all the same (C-014).
    let is_fatal = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    (status, recoded(issues, code, is_fatal))
}

fn millennium(
    error: &ApiError,
    (status, issues): (StatusCode, Vec<Issue>),
) -> (StatusCode, Vec<Issue>) {
    let is_query = match error {
        ApiError::HouseRule(refusal) => refusal.broken == Broken::Query,
        ApiError::Invalid(issues) => issues
            .iter()
            .all(|issue| issue.expression.as_deref() == Some("_typeFilter")),
        _ => false,
    };
    let status = if is_query {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        status
    };
    let code = match error {
        ApiError::HouseRule(_)
        | ApiError::Invalid(_)
        | ApiError::NotAcceptable
        | ApiError::HeadersMissing => Some(IssueCode::Invalid),
        _ => None,
    };
    let is_fatal = status == StatusCode::INTERNAL_SERVER_ERROR;
    (status, recoded(issues, code, is_fatal))
}

fn recoded(issues: Vec<Issue>, code: Option<IssueCode>, is_fatal: bool) -> Vec<Issue> {
    let recode = |mut issue: Issue| {
        issue.code = code.unwrap_or(issue.code);
        if is_fatal {
            issue.severity = Severity::Fatal;
        }
        issue
    };
    issues.into_iter().map(recode).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;

    use super::*;

    fn severity(errors: Errors, error: &ApiError) -> (u16, Severity) {
        let issues = vec![Issue::error(IssueCode::Exception, "it failed")];
        let (status, issues) = told(errors, error, (error.status_code(), issues));
        (status.as_u16(), issues[0].severity)
    }

    #[test]
    fn c_029_error_goes_with_4xx_and_fatal_with_5xx_but_for_the_501() {
        let failed = ApiError::JobFailed(Issue::error(IssueCode::Exception, "it failed"));
        let fatal = (500, Severity::Fatal);
        assert_eq!(severity(Errors::Soarian, &failed), fatal);
        assert_eq!(severity(Errors::Millennium, &failed), fatal);
        assert_eq!(severity(Errors::Sluice, &failed), (500, Severity::Error));
        let off = severity(Errors::Soarian, &ApiError::LevelOff);
        assert_eq!(off, (501, Severity::Error), "C-014");
        let gone = severity(Errors::Soarian, &ApiError::JobGone);
        assert_eq!(gone, (404, Severity::Error));
    }
}
