//! The clock of the database.

use sluice_ports::PortError;

use crate::failure::failed;
use crate::pool::Session;

/// Its time in nanoseconds: on a primary what `primary` says, a timestamp in SQL; on a replica that of the
/// last transaction that it has, for it knows of nothing later.
pub(crate) async fn time(
    session: &Session,
    primary: &str,
    action: &'static str,
) -> Result<i64, PortError> {
    let sql = format!(
        "SELECT (extract(epoch FROM CASE WHEN pg_is_in_recovery() \
         THEN pg_last_xact_replay_timestamp() ELSE {primary} END) * 1000000)::bigint"
    );
    let row = session.query_typed_one(&sql, &[]).await;
    let micros: Option<i64> = row.map_err(failed(action))?.get(0);
    let Some(micros) = micros else {
        return Err(PortError::transient(
            action,
            "this replica has not heard of a transaction since it started",
        ));
    };
    Ok(micros.saturating_mul(1000))
}
