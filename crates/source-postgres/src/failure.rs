//! From what the database says to what a port says. What it says about values stays here: a row that
//! broke a rule is quoted in it.

use deadpool_postgres::{PoolError, TimeoutType};
use sluice_ports::{PortError, PortKind};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

/// A database's refusal without the values it is about.
#[derive(Debug, thiserror::Error)]
#[error("the database says {code}{said}")]
struct Refusal {
    code: String,
    said: String,
}

/// Turns an error of a statement into one of the port.
pub(crate) fn failed(action: &'static str) -> impl Fn(Error) -> PortError {
    move |error| {
        let Some(refusal) = error.as_db_error() else {
            // Broken connections, and answers that make no sense; both hold no rows.
            return PortError::transient(action, error);
        };
        let kind = if may_pass(refusal.code()) {
            PortKind::Transient
        } else {
            PortKind::Permanent
        };
        PortError {
            kind,
            action: action.to_owned(),
            cause: Some(Box::new(told(refusal))),
        }
    }
}

/// Turns a pool's error into one of the port.
pub(crate) fn no_connection(error: PoolError) -> PortError {
    const ACTION: &str = "connecting to the database";
    match error {
        PoolError::Backend(error) => failed(ACTION)(error),
        PoolError::Timeout(TimeoutType::Wait) => {
            PortError::transient(ACTION, "all connections are busy")
        }
        error => PortError::transient(ACTION, error.to_string()),
    }
}

/// Whether two writers got into each other's way, so that the batch is to be written again.
pub(crate) fn is_conflict(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        [
            SqlState::UNIQUE_VIOLATION,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ]
        .contains(code)
    })
}

/// Whether the same statement may work later: connections, resources, shutdowns, cancellations,
/// conflicts.
fn may_pass(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "40" | "53" | "55" | "57" | "58" | "XX") || code.code() == "25006"
}

fn told(refusal: &DbError) -> Refusal {
    let code = refusal.code().code();
    let class = code.get(..2).unwrap_or_default();
    // In these classes the message is about the server or the statement, never about a value.
    let is_harmless = matches!(class, "08" | "28" | "3D" | "42" | "53" | "55" | "57" | "58");
    Refusal {
        code: code.to_owned(),
        said: if is_harmless {
            format!(": {}", refusal.message())
        } else {
            String::new()
        },
    }
}
