//! What an export sees: the versions that lived at its T.
//!
//! A version counts when both its time and its transaction say so. The time alone would do, because
//! T lies below whatever an open writer may still write; the transaction is what a clock that was set
//! back cannot spoil.

use serde::{Deserialize, Serialize};
use sluice_model::Scope;
use sluice_ports::PortError;

/// The state of the source that `job.json` keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// `pg_current_snapshot()` as text.
    pub(crate) snapshot: String,
}

/// The conditions of one export as pieces of SQL.
#[derive(Clone, Debug)]
pub(crate) struct View {
    snapshot: String,
    time: i64,
    since: Option<i64>,
    until: Option<i64>,
}

impl View {
    /// Of a scope.
    pub(crate) fn of(scope: &Scope) -> Result<Self, PortError> {
        let foreign = |error| PortError::permanent("reading a snapshot of another source", error);
        let token: Token = serde_json::from_str(&scope.snapshot.token).map_err(foreign)?;
        // It becomes a part of statements.
        let is_snapshot = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b','))
        };
        if !is_snapshot(&token.snapshot) {
            return Err(PortError::permanent(
                "reading a snapshot",
                "it is not what PostgreSQL writes",
            ));
        }
        Ok(Self {
            snapshot: token.snapshot,
            time: scope.snapshot.time.nanos(),
            since: scope.since.map(sluice_fhir::Instant::nanos),
            until: scope.until.map(sluice_fhir::Instant::nanos),
        })
    }

    /// T.
    pub(crate) fn time(&self) -> i64 {
        self.time
    }

    /// Whether only what changed after some time is asked for.
    pub(crate) fn is_recent(&self) -> bool {
        self.since.is_some()
    }

    /// That a reference was there at T. Its time alone says so: it is the earliest of several writers', of
    /// which the row names only one.
    pub(crate) fn known(&self, row: &str) -> String {
        format!("{row}.born_at <= {}", self.time)
    }

    /// That a version was there at T.
    fn born(&self, row: &str) -> String {
        let Self { snapshot, time, .. } = self;
        format!(
            "({row}.born_at <= {time} AND pg_visible_in_snapshot({row}.born, '{snapshot}'::pg_snapshot))"
        )
    }

    /// That a version lived at T.
    pub(crate) fn lives(&self, row: &str) -> String {
        let Self { snapshot, time, .. } = self;
        let born = self.born(row);
        format!(
            "({born} AND ({row}.died_at > {time} OR {row}.died IS NULL OR \
             NOT pg_visible_in_snapshot({row}.died, '{snapshot}'::pg_snapshot)))"
        )
    }

    /// That a version ended by T and, if a time is given, after it.
    pub(crate) fn ended(&self, row: &str) -> Option<String> {
        let Self { snapshot, time, .. } = self;
        let since = self.since?;
        let until = self.until.unwrap_or(i64::MAX);
        Some(format!(
            "({row}.died_at > {since} AND {row}.died_at <= {time} AND {row}.died_at < {until} AND \
             {row}.died_at < 9223372036854775807 AND \
             pg_visible_in_snapshot({row}.died, '{snapshot}'::pg_snapshot))"
        ))
    }

    /// That a version came between `_since` and `_until`, both exclusive (T-025, T-026).
    pub(crate) fn changed(&self, row: &str) -> String {
        let mut text = "TRUE".to_owned();
        for (bound, sign) in [(self.since, '>'), (self.until, '<')] {
            if let Some(bound) = bound {
                text = format!("{text} AND {row}.born_at {sign} {bound}");
            }
        }
        text
    }
}
