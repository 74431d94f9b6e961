//! The one place that says what a failure looks like: its status and its OperationOutcome, which
//! tells the client what to do.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use sluice_auth::TokenError;
use sluice_engine::{BearerError, KickoffError};
use sluice_fhir::rules::{Errors, Refusal};
use sluice_fhir::{Issue, IssueCode, OperationOutcome, ResourceType, Severity};
use sluice_ports::{PopulationError, PortError};

use crate::dialect;

/// The media type of resources.
pub(crate) const FHIR_JSON: &str = "application/fhir+json";
/// Told with 503; what usually passes passes by then.
const BUSY_SECONDS: u64 = 10;

/// Every way in which a request can fail.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.issues().first().map_or("", |issue| issue.text.as_str()))]
pub(crate) enum ApiError {
    NothingHere,
    WrongMethod(&'static str),
    NotAcceptable,
    HeadersMissing,
    HouseRule(Refusal),
    WrongBodyType,
    WrongBodyEncoding,
    BodyTooLarge(usize),
    BodyTooSlow(Duration),
    UriTooLong(usize),
    HeadTooLarge(usize),
    TooManyParameters(usize),
    Invalid(Vec<Issue>),
    NoAuthorization,
    NoToken,
    Token(TokenError),
    ScopeTooNarrow,
    NotGranted(Vec<ResourceType>),
    NothingGranted,
    LevelOff,
    LevelForbidden,
    UnknownTenant,
    UnknownGroup,
    UnknownPatients(Vec<String>),
    UnknownJob,
    /// Told as [`ApiError::UnknownJob`] is.
    NotYours,
    /// Told as [`ApiError::UnknownFile`] is.
    NotYourFile,
    JobGone,
    UnknownFile,
    BadLink,
    LinkExpired,
    RangeOutside(u64),
    TooFast(Duration),
    Duplicate(String),
    KeyReused,
    TooManyRunning(u32),
    TooManyKickoffs(Duration),
    AuditFull,
    JobFailed(Issue),
    Port(PortError),
}

impl From<KickoffError> for ApiError {
    fn from(error: KickoffError) -> Self {
        match error {
            KickoffError::UnknownTenant => Self::UnknownTenant,
            KickoffError::AuditFull => Self::AuditFull,
            KickoffError::LevelOff => Self::LevelOff,
            KickoffError::LevelForbidden => Self::LevelForbidden,
            KickoffError::NotGranted(types) => Self::NotGranted(types),
            KickoffError::NothingGranted => Self::NothingGranted,
            KickoffError::TooManyKickoffs(wait) => Self::TooManyKickoffs(wait),
            KickoffError::Population(PopulationError::UnknownGroup) => Self::UnknownGroup,
            KickoffError::Population(PopulationError::UnknownPatients(ids)) => {
                Self::UnknownPatients(ids)
            }
            KickoffError::Duplicate(same) => Self::Duplicate(same.job.to_string()),
            KickoffError::KeyReused => Self::KeyReused,
            KickoffError::TooManyRunning(most) => Self::TooManyRunning(most),
            KickoffError::Population(PopulationError::Port(error)) | KickoffError::Port(error) => {
                Self::Port(error)
            }
        }
    }
}

impl From<BearerError> for ApiError {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::Missing => Self::NoToken,
            BearerError::Token(error) => Self::Token(error),
            BearerError::Port(error) => Self::Port(error),
        }
    }
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl From<Issue> for ApiError {
    fn from(issue: Issue) -> Self {
        Self::Invalid(vec![issue])
    }
}

impl ApiError {
    /// Why somebody was not let at something, for the audit; nothing when it is no such failure.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::NoToken => Some("no access token"),
            Self::Token(TokenError::Expired) => Some("the access token has expired"),
            Self::Token(TokenError::Invalid) => Some("the access token is not good"),
            Self::ScopeTooNarrow | Self::NotGranted(_) | Self::NothingGranted => {
                Some("the scopes do not cover it")
            }
            Self::LevelForbidden => Some("the level is not the client's"),
            Self::UnknownGroup => Some("the group is unknown or not the client's"),
            Self::NotYours | Self::NotYourFile => Some("the export is another's"),
            Self::BadLink => Some("the link is not whole"),
            _ => None,
        }
    }

    fn issues(&self) -> Vec<Issue> {
        match self {
            Self::Invalid(issues) => issues.clone(),
            Self::HouseRule(refusal) => refusal.issues.clone(),
            Self::JobFailed(issue) => vec![issue.clone()],
            Self::UnknownPatients(ids) => ids.iter().map(unknown_patient).collect(),
            Self::Port(error) => vec![trouble(error)],
            Self::BodyTooLarge(limit) => vec![too_large(*limit)],
            Self::BodyTooSlow(time) => vec![too_slow(*time)],
            Self::UriTooLong(limit) => vec![too_long("URL", *limit)],
            Self::HeadTooLarge(limit) => vec![too_long("URL with the headers", *limit)],
            Self::TooManyParameters(most) => vec![too_many_parameters(*most)],
            Self::TooFast(wait) => vec![too_fast(*wait)],
            Self::Duplicate(job) => vec![duplicate(job)],
            Self::TooManyRunning(most) => vec![too_many(*most)],
            Self::TooManyKickoffs(wait) => vec![too_many_kickoffs(*wait)],
            Self::Token(error) => vec![bad_token(*error)],
            Self::NotGranted(types) => types.iter().copied().map(not_granted).collect(),
            other => {
                let (code, text) = other.fixed();
                vec![Issue::error(code, text)]
            }
        }
    }

    /// What is said in the same words each time.
    fn fixed(&self) -> (IssueCode, &'static str) {
        match self {
            Self::WrongMethod(_) => (
                IssueCode::NotSupported,
                "this method does not work here; [base]/metadata lists what is served",
            ),
            Self::NotAcceptable => (
                IssueCode::NotSupported,
                "nothing in the Accept header can be served; send application/fhir+json",
            ),
            Self::HeadersMissing => (
                IssueCode::Structure,
                "this site wants the headers Accept: application/fhir+json and Prefer: respond-async here",
            ),
            Self::WrongBodyType => (
                IssueCode::NotSupported,
                "the body must be JSON; send Content-Type: application/fhir+json",
            ),
            Self::WrongBodyEncoding => (
                IssueCode::NotSupported,
                "the body must not be compressed; send it without Content-Encoding",
            ),
            Self::KeyReused => (
                IssueCode::Conflict,
                "this Idempotency-Key was sent with another request; send a new one",
            ),
            Self::BadLink => (
                IssueCode::Forbidden,
                "this link is not whole; use it exactly as the manifest gives it",
            ),
            Self::LinkExpired => (
                IssueCode::Expired,
                "this link has expired; ask the status URL for a manifest with fresh links",
            ),
            Self::RangeOutside(_) => (
                IssueCode::Invalid,
                "the Range header asks for bytes outside the file",
            ),
            other => other.not_allowed(),
        }
    }

    /// The same, where somebody may not.
    fn not_allowed(&self) -> (IssueCode, &'static str) {
        match self {
            Self::NoToken => (
                IssueCode::Login,
                "there is no access token; [base]/.well-known/smart-configuration names the token \
                 endpoint, and the token goes into the header Authorization: Bearer …",
            ),
            Self::ScopeTooNarrow => (
                IssueCode::Forbidden,
                "the access token's scopes do not cover this; get a token with the scopes that the \
                 export was started with",
            ),
            Self::NothingGranted => (
                IssueCode::Forbidden,
                "the access token's scopes cover no type that could be exported here; ask for a scope \
                 such as system/*.rs",
            ),
            Self::LevelOff => (
                IssueCode::NotSupported,
                "this level of export is switched off at this site; [base]/metadata lists what is on",
            ),
            Self::LevelForbidden => (
                IssueCode::Forbidden,
                "this client may not export at this level; ask the operator which it may",
            ),
            missing => missing.nothing_there(),
        }
    }

    /// The same, where there is nothing.
    fn nothing_there(&self) -> (IssueCode, &'static str) {
        match self {
            Self::NothingHere => (
                IssueCode::NotFound,
                "there is nothing at this path; [base]/metadata lists what is served",
            ),
            Self::UnknownTenant => (
                IssueCode::NotFound,
                "there is no such FHIR base; ask the operator for its URL",
            ),
            Self::UnknownGroup => (
                IssueCode::NotFound,
                "there is no such group, or it is not active; [base]/Group lists the groups",
            ),
            Self::NoAuthorization => (
                IssueCode::NotFound,
                "this server asks nobody who they are; authorization is off",
            ),
            Self::AuditFull => (
                IssueCode::Transient,
                "what is exported cannot be written down just now, so nothing is; try again later",
            ),
            Self::UnknownJob | Self::NotYours => (
                IssueCode::NotFound,
                "there is no such export; start one at [base]/$export",
            ),
            Self::JobGone => (
                IssueCode::Deleted,
                "this export was deleted or has expired; start a new one",
            ),
            Self::UnknownFile | Self::NotYourFile => (
                IssueCode::NotFound,
                "there is no such file, or its export was deleted or has expired",
            ),
            _ => (
                IssueCode::Exception,
                "something failed; tell the operator the X-Request-Id of this answer",
            ),
        }
    }
}

fn unknown_patient(id: &String) -> Issue {
    let text = format!("Patient/{id} does not exist or is not a member of the group; leave it out");
    Issue::error(IssueCode::NotFound, text).about("patient")
}

fn duplicate(job: &str) -> Issue {
    let text =
        format!("the same export is running as job {job}; wait for it, or delete it and ask again");
    Issue::error(IssueCode::Duplicate, text)
}

fn too_many(most: u32) -> Issue {
    let text = format!(
        "{most} exports of this client are running, which is as many as may; wait for one, or delete \
         it"
    );
    Issue::error(IssueCode::Throttled, text)
}

fn too_many_kickoffs(wait: Duration) -> Issue {
    let seconds = whole_seconds(wait);
    let text = format!("this client has started as many exports as it may; wait {seconds} s");
    Issue::error(IssueCode::Throttled, text)
}

fn bad_token(error: TokenError) -> Issue {
    let code = match error {
        TokenError::Expired => IssueCode::Expired,
        TokenError::Invalid => IssueCode::Login,
    };
    Issue::error(code, error.to_string())
}

fn not_granted(kind: ResourceType) -> Issue {
    let text = format!(
        "the access token's scopes do not cover {kind}; leave it out of _type, or get a token with \
         system/{kind}.rs"
    );
    Issue::error(IssueCode::Forbidden, text).about("_type")
}

fn too_large(limit: usize) -> Issue {
    Issue::error(
        IssueCode::TooLong,
        format!("the body is larger than {limit} bytes; ask for fewer patients at a time"),
    )
}

fn too_slow(time: Duration) -> Issue {
    let seconds = whole_seconds(time);
    let text =
        format!("the body was not there after {seconds} s; send it at once, or a smaller one");
    Issue::error(IssueCode::Timeout, text)
}

fn too_long(what: &str, limit: usize) -> Issue {
    let text = format!("the {what} is longer than {limit} bytes; send parameters in a POST body");
    Issue::error(IssueCode::TooLong, text)
}

fn too_many_parameters(most: usize) -> Issue {
    let text = format!(
        "there are more than {most} parameters, each patient counted; ask for fewer patients at a time"
    );
    Issue::error(IssueCode::TooLong, text)
}

fn too_fast(wait: Duration) -> Issue {
    let seconds = whole_seconds(wait);
    let text =
        format!("asked too often; wait {seconds} s and then as long as each Retry-After says");
    Issue::error(IssueCode::Throttled, text)
}

/// Says what was tried; the cause is for the log.
fn trouble(error: &PortError) -> Issue {
    if error.is_transient() {
        let text = format!("{} failed for now; try again later", error.action);
        Issue::error(IssueCode::Transient, text)
    } else {
        let text = format!(
            "{} failed; tell the operator the X-Request-Id of this answer",
            error.action
        );
        Issue::new(Severity::Fatal, IssueCode::Exception, text)
    }
}

/// Never rounds down, so that a client who waits this long has waited enough (T-034).
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NothingHere
            | Self::UnknownTenant
            | Self::UnknownGroup
            | Self::UnknownJob
            | Self::NotYours
            | Self::NotYourFile
            | Self::NoAuthorization
            | Self::JobGone
            | Self::UnknownFile => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable | Self::HeadersMissing => StatusCode::NOT_ACCEPTABLE,
            Self::WrongBodyType | Self::WrongBodyEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoToken | Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::BadLink
            | Self::LinkExpired
            | Self::ScopeTooNarrow
            | Self::NotGranted(_)
            | Self::NothingGranted
            | Self::LevelForbidden => StatusCode::FORBIDDEN,
            Self::LevelOff => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::UriTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Invalid(_)
            | Self::HouseRule(_)
            | Self::UnknownPatients(_)
            | Self::TooManyParameters(_) => StatusCode::BAD_REQUEST,
            Self::RangeOutside(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooFast(_) | Self::TooManyRunning(_) | Self::TooManyKickoffs(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Duplicate(_) => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::AuditFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::Port(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Self::JobFailed(_) | Self::Port(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Port(error) = self {
            tracing::error!(error = error.chain(), "a request failed");
        }
        self.told(Errors::Sluice)
    }
}

impl ApiError {
    /// The failure as the clients of a tenant hear it.
    pub(crate) fn told(&self, errors: Errors) -> HttpResponse {
        let plain = (self.status_code(), self.issues());
        let (status, issues) = dialect::told(errors, self, plain);
        let mut response = HttpResponse::build(status);
        match self {
            Self::TooFast(wait) | Self::TooManyKickoffs(wait) => {
                retry_after(&mut response, whole_seconds(*wait));
            }
            Self::TooManyRunning(_) | Self::AuditFull => retry_after(&mut response, BUSY_SECONDS),
            Self::Port(error) if error.is_transient() => retry_after(&mut response, BUSY_SECONDS),
            Self::NoToken => challenge(&mut response, None),
            Self::Token(_) => challenge(&mut response, Some("invalid_token")),
            Self::ScopeTooNarrow | Self::NotGranted(_) | Self::NothingGranted => {
                challenge(&mut response, Some("insufficient_scope"));
            }
            Self::WrongMethod(allowed) => {
                response.insert_header((header::ALLOW, *allowed));
            }
            Self::WrongBodyEncoding => {
                response.insert_header((header::ACCEPT_ENCODING, "identity"));
            }
            // The rest of the body may still come, and must not be taken for a request.
            Self::BodyTooSlow(_) => {
                response.force_close();
            }
            Self::RangeOutside(size) => {
                response.insert_header((header::CONTENT_RANGE, format!("bytes */{size}")));
            }
            _ => {}
        }
        outcome(&mut response, issues)
    }
}

/// what a client that has no good token is told.
fn challenge(response: &mut HttpResponseBuilder, error: Option<&str>) {
    let error = error.map_or(String::new(), |error| format!(", error=\"{error}\""));
    let value = format!("Bearer realm=\"sluice\"{error}");
    response.insert_header((header::WWW_AUTHENTICATE, value));
}

fn retry_after(response: &mut HttpResponseBuilder, seconds: u64) {
    response.insert_header((header::RETRY_AFTER, seconds.to_string()));
}

/// Renders issues as the whole body; never cached.
pub(crate) fn outcome(response: &mut HttpResponseBuilder, issues: Vec<Issue>) -> HttpResponse {
    response
        .insert_header((header::CONTENT_TYPE, FHIR_JSON))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(serde_json::to_vec(&OperationOutcome { issues }).unwrap_or_default())
}
