//! What a failure of Redis means for the caller.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use sluice_ports::PortError;

/// What Redis or its client said. It hides the cause underneath, which says the same again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(RedisError);

/// Codes of answers that change with time: Redis is full, busy, saving, failing over.
const PASSING: [&str; 6] = [
    "OOM",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
    "READONLY",
    "LOADING",
];

pub(crate) fn port_error(action: &str, error: RedisError) -> PortError {
    if is_passing(&error) {
        PortError::transient(action, Said(error))
    } else {
        PortError::permanent(action, Said(error))
    }
}

/// Whether the same call may succeed later.
fn is_passing(error: &RedisError) -> bool {
    use ServerErrorKind as Server;
    match error.kind() {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => true,
        ErrorKind::Server(kind) => match kind {
            Server::BusyLoading
            | Server::NoScript
            | Server::Moved
            | Server::Ask
            | Server::TryAgain
            | Server::ClusterDown
            | Server::MasterDown
            | Server::ReadOnly => true,
            _ => hides_a_passing_one(error.detail().unwrap_or_default()),
        },
        ErrorKind::Extension => error.code().is_some_and(|code| PASSING.contains(&code)),
        _ => false,
    }
}

/// Redis before 7 wraps what a command in a script said: `ERR Error running script (…): -OOM …`.
fn hides_a_passing_one(text: &str) -> bool {
    text.contains("max number of clients")
        || PASSING
            .iter()
            .any(|code| text.contains(&format!("-{code} ")))
}

/// Whether the connection is of no more use, or may be. The connection manager replaces one that
/// broke, but not one that is silent, leads to a former primary, or was refused in its handshake.
pub(crate) fn ends_the_connection(error: &RedisError) -> bool {
    let answers_on_a_good_one = [
        "OOM",
        "WRONGTYPE",
        "MISCONF",
        "NOREPLICAS",
        "NOPERM",
        "NOSCRIPT",
    ];
    !error
        .code()
        .is_some_and(|code| answers_on_a_good_one.contains(&code))
}

/// Whether trying once more right away, on a new connection, may help.
pub(crate) fn is_worth_another_try(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    fn answer(code: &str, detail: &str) -> RedisError {
        make_extension_error(code.to_owned(), Some(detail.to_owned()))
    }

    fn known(kind: ServerErrorKind, detail: &str) -> RedisError {
        RedisError::from((ErrorKind::Server(kind), "answer", detail.to_owned()))
    }

    #[test]
    fn what_passes_is_transient() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for error in [
            RedisError::from(refused),
            answer("OOM", "command not allowed"),
            answer("MISCONF", "errors writing to disk"),
            known(ServerErrorKind::ReadOnly, "a replica"),
            known(ServerErrorKind::BusyLoading, "loading"),
            known(ServerErrorKind::ClusterDown, "down"),
            known(
                ServerErrorKind::ResponseError,
                "max number of clients reached",
            ),
            known(
                ServerErrorKind::ResponseError,
                "Error running script: -OOM command",
            ),
        ] {
            let text = error.to_string();
            assert!(port_error("trying", error).is_transient(), "{text}");
        }
    }

    #[test]
    fn what_stays_is_permanent_and_told_once() {
        for error in [
            answer("WRONGTYPE", "not a hash"),
            answer("NOAUTH", "authentication required"),
            known(ServerErrorKind::ResponseError, "unknown command"),
            RedisError::from((ErrorKind::AuthenticationFailed, "no")),
        ] {
            assert!(!port_error("trying", error).is_transient());
        }
        let told = port_error("trying", answer("WRONGTYPE", "not a hash")).chain();
        assert_eq!(told.matches("WRONGTYPE").count(), 1, "{told}");
    }
}
