//! What the SDK's errors mean to a caller.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use sluice_ports::{PortError, PortKind};

/// What the store said. Its message is kept, its resource and signature fields are not.
#[derive(Debug, thiserror::Error)]
#[error("the store answered {status} {code}: {message}")]
struct Answer {
    status: u16,
    code: String,
    message: String,
}

/// The status of an answer, if there was one.
pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|raw| raw.status().as_u16())
}

/// Whether the object is not there, as opposed to its bucket.
pub(crate) fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error.code() {
        Some("NoSuchKey" | "NotFound") => true,
        // The answer to HEAD has no body that could hold a code.
        None => status(error) == Some(404),
        Some(_) => false,
    }
}

/// Whether an upload is gone: completed, aborted or swept.
pub(crate) fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("NoSuchUpload")
}

/// Whether a conditional write met an object.
pub(crate) fn is_taken<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("PreconditionFailed") || status(error) == Some(412)
}

/// Whether a conditional write met another one that is not decided yet.
pub(crate) fn is_contended<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error.code() {
        Some("ConditionalRequestConflict" | "OperationAborted") => true,
        None => status(error) == Some(409),
        Some(_) => false,
    }
}

/// The port's error for the SDK's.
pub(crate) fn failed<E>(action: &str, error: SdkError<E>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = kind(&error);
    let cause: Box<dyn Error + Send + Sync> = match &error {
        SdkError::ServiceError(said) => Box::new(Answer {
            status: said.raw().status().as_u16(),
            code: error.code().unwrap_or("without a code").to_owned(),
            message: explain(&error),
        }),
        _ => match error.into_source() {
            Ok(source) => source,
            Err(error) => error.to_string().into(),
        },
    };
    PortError {
        kind,
        action: action.to_owned(),
        cause: Some(cause),
    }
}

fn kind<E: ProvideErrorMetadata>(error: &SdkError<E>) -> PortKind {
    match error {
        SdkError::ConstructionFailure(_) => return PortKind::Permanent,
        SdkError::ServiceError(_) => {}
        _ => return PortKind::Transient,
    }
    if is_missing(error) {
        return PortKind::NotFound;
    }
    // Codes come first: an error may stand in an answer whose status is 200.
    match error.code().unwrap_or_default() {
        "InternalError" | "SlowDown" | "ServiceUnavailable" | "Throttling" | "RequestTimeout"
        | "RequestTimeTooSkewed" | "OperationAborted" | "ConditionalRequestConflict" | "Busy"
        // Its upload was swept or ended by a lost try; the whole write can be done again.
        | "NoSuchUpload"
        // A body that was damaged on its way.
        | "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch"
        // Lent credentials that ran out between two renewals.
        | "ExpiredToken" => return PortKind::Transient,
        // KMS throttling comes as a 400 of its own; a disabled key does not heal.
        code if code.contains("Throttl") => return PortKind::Transient,
        "NotImplemented" => return PortKind::Permanent,
        _ => {}
    }
    match status(error) {
        Some(408 | 409 | 425 | 429 | 500..=599) => PortKind::Transient,
        _ => PortKind::Permanent,
    }
}

/// The store's message, and what to do where the operator can do something.
fn explain<E: ProvideErrorMetadata>(error: &SdkError<E>) -> String {
    let message = error.message().unwrap_or("no message");
    let advice = match (error.code().unwrap_or_default(), status(error)) {
        ("NoSuchBucket", _) => "create the bucket or correct its name",
        ("InvalidAccessKeyId", _) => "correct the access key id",
        ("SignatureDoesNotMatch", _) => {
            "correct the secret access key and the region, and see that no proxy changes the host"
        }
        ("AuthorizationHeaderMalformed" | "PermanentRedirect" | "InvalidRegion", _) => {
            "correct the region and the endpoint"
        }
        ("RequestTimeTooSkewed", _) => "set this machine's clock right",
        (code, _) if code.starts_with("KMS.") => {
            "enable the key and allow these credentials to use it"
        }
        ("AccessDenied", _) | ("", Some(403)) => {
            "allow these credentials to read, write, list and delete in the bucket"
        }
        _ => return message.to_owned(),
    };
    format!("{message} ({advice})")
}
