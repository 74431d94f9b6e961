//! One call to the broker: it ends in time, and its failure says whether trying again can help.

use std::time::Duration;

use lapin::{Channel, Connection, Error, ErrorKind};
use sluice_ports::{PortError, PortKind};

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// The broker did not answer in time; whether it did what was asked is unknown.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Late(Duration);

/// Waits for `call`, but no longer than `limit`: some calls of lapin never end once the broker is
/// gone (lapin issue 409).
pub(crate) async fn within<T>(
    limit: Duration,
    action: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, PortError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| failed(action, error)),
        Err(_) => Err(PortError::transient(action, Late(limit))),
    }
}

/// Whether an error is that no answer came.
pub(crate) fn is_late(error: &PortError) -> bool {
    let cause = error.cause.as_ref();
    cause.is_some_and(|cause| cause.is::<Late>())
}

/// Opens a channel of a connection.
pub(crate) async fn open_channel(
    connection: &Connection,
    limit: Duration,
) -> Result<Channel, PortError> {
    within(limit, "opening a channel", connection.create_channel()).await
}

fn failed(action: &str, error: Error) -> PortError {
    PortError {
        kind: kind(&error),
        action: action.to_owned(),
        cause: Some(Box::new(error)),
    }
}

fn kind(error: &Error) -> PortKind {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return PortKind::Transient;
    };
    match refusal.get_id() {
        ACCESS_REFUSED | PRECONDITION_FAILED | NOT_ALLOWED => PortKind::Permanent,
        NOT_FOUND => PortKind::NotFound,
        _ => PortKind::Transient,
    }
}
