//! Puts rows into the tables. What two writers may both add goes in in order, so that they wait for each
//! other rather than both.

use std::collections::BTreeMap;
use std::pin::pin;

use tokio_postgres::Error;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use super::filling::{Difference, NewRow};
use crate::pool::Session;

/// Version numbers that one value of the sequence stands for.
const STRIDE: usize = 1000;

pub(super) async fn number_rows(session: &Session, rows: &mut [NewRow<'_>]) -> Result<(), Error> {
    let blocks = i64::try_from(rows.len().div_ceil(STRIDE)).unwrap_or(i64::MAX);
    let sql = "SELECT nextval('sluice.version_number') FROM generate_series(1, $1)";
    let starts = session.query_typed(sql, &[(&blocks, Type::INT8)]).await?;
    for (block, start) in rows.chunks_mut(STRIDE).zip(starts) {
        for (row, number) in block.iter_mut().zip(start.get::<_, i64>(0)..) {
            row.row = number;
        }
    }
    Ok(())
}

pub(super) async fn copy_resources(session: &Session, rows: &[NewRow<'_>]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let sink = session
        .copy_in(
            "COPY sluice.resource (row, owner, born_at, updated, size, kind, id, digest, others, body) \
             FROM STDIN (FORMAT binary)",
        )
        .await?;
    let types = [
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT4,
        Type::INT2,
        Type::TEXT,
        Type::BYTEA,
        Type::INT8_ARRAY,
        Type::BYTEA,
    ];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in rows {
        let size = i32::try_from(row.put.body.len()).unwrap_or(i32::MAX);
        let (digest, body) = (&row.put.digest[..], &row.put.body[..]);
        let values: [&(dyn ToSql + Sync); 10] = [
            &row.row,
            &row.owner,
            &row.born_at,
            &row.put.updated,
            &size,
            &row.kind,
            &row.put.id,
            &digest,
            &row.others,
            &body,
        ];
        writer.as_mut().write(&values).await?;
    }
    writer.finish().await?;
    Ok(())
}

/// Rows for `sluice.also`.
#[derive(Default)]
pub(super) struct Also<'a> {
    patients: Vec<i64>,
    kinds: Vec<i16>,
    ids: Vec<&'a str>,
    owners: Vec<i64>,
    rows: Vec<i64>,
}

impl<'a> Also<'a> {
    pub(super) fn push(&mut self, patient: i64, row: &NewRow<'a>) {
        self.patients.push(patient);
        self.kinds.push(row.kind);
        self.ids.push(&row.put.id);
        self.owners.push(row.owner);
        self.rows.push(row.row);
    }

    pub(super) async fn insert(&self, session: &Session) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        session
            .execute_typed(
                "INSERT INTO sluice.also (patient, kind, id, owner, row) \
                 SELECT * FROM unnest($1, $2, $3, $4, $5)",
                &[
                    (&self.patients, Type::INT8_ARRAY),
                    (&self.kinds, Type::INT2_ARRAY),
                    (&self.ids, Type::TEXT_ARRAY),
                    (&self.owners, Type::INT8_ARRAY),
                    (&self.rows, Type::INT8_ARRAY),
                ],
            )
            .await
            .map(drop)
    }
}

pub(super) async fn insert_links(
    session: &Session,
    mut links: Vec<(i64, i64, i16, i64)>,
) -> Result<(), Error> {
    links.sort_unstable_by_key(|(patient, target, via, at)| (*patient, *via, *target, *at));
    links.dedup_by_key(|(patient, target, via, _)| (*patient, *via, *target));
    if links.is_empty() {
        return Ok(());
    }
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (patient, target, via, born_at) in links {
        columns.0.push(patient);
        columns.1.push(target);
        columns.2.push(via);
        columns.3.push(born_at);
    }
    session
        .execute_typed(
            "INSERT INTO sluice.link (patient, target, via, born_at) \
             SELECT t.patient, t.target, t.via, t.born_at FROM unnest($1, $2, $3, $4) \
             t (patient, target, via, born_at) WHERE NOT EXISTS (SELECT 1 FROM sluice.link l \
             WHERE l.patient = t.patient AND l.via = t.via AND l.target = t.target \
             AND l.born_at <= t.born_at) ORDER BY t.patient, t.via, t.target \
             ON CONFLICT (patient, via, target) DO UPDATE SET born_at = excluded.born_at \
             WHERE excluded.born_at < link.born_at",
            &[
                (&columns.0, Type::INT8_ARRAY),
                (&columns.1, Type::INT8_ARRAY),
                (&columns.2, Type::INT2_ARRAY),
                (&columns.3, Type::INT8_ARRAY),
            ],
        )
        .await
        .map(drop)
}

pub(super) async fn insert_onward(
    session: &Session,
    mut onward: Vec<(i64, i64, i64)>,
) -> Result<(), Error> {
    onward.sort_unstable();
    onward.dedup_by_key(|(source, target, _)| (*source, *target));
    if onward.is_empty() {
        return Ok(());
    }
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (source, target, born_at) in onward {
        columns.0.push(source);
        columns.1.push(target);
        columns.2.push(born_at);
    }
    session
        .execute_typed(
            "INSERT INTO sluice.onward (source, target, born_at) \
             SELECT t.source, t.target, t.born_at FROM unnest($1, $2, $3) \
             t (source, target, born_at) ORDER BY t.source, t.target \
             ON CONFLICT (source, target) DO UPDATE SET born_at = excluded.born_at \
             WHERE excluded.born_at < onward.born_at",
            &[
                (&columns.0, Type::INT8_ARRAY),
                (&columns.1, Type::INT8_ARRAY),
                (&columns.2, Type::INT8_ARRAY),
            ],
        )
        .await
        .map(drop)
}

pub(super) async fn insert_about(
    session: &Session,
    about: &[(i64, &str, i16, String)],
) -> Result<(), Error> {
    if about.is_empty() {
        return Ok(());
    }
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (row, provenance, kind, id) in about {
        columns.0.push(*row);
        columns.1.push(*provenance);
        columns.2.push(*kind);
        columns.3.push(id.as_str());
    }
    session
        .execute_typed(
            "INSERT INTO sluice.about (row, provenance, kind, id) \
             SELECT * FROM unnest($1, $2, $3, $4)",
            &[
                (&columns.0, Type::INT8_ARRAY),
                (&columns.1, Type::TEXT_ARRAY),
                (&columns.2, Type::INT2_ARRAY),
                (&columns.3, Type::TEXT_ARRAY),
            ],
        )
        .await
        .map(drop)
}

pub(super) async fn insert_volumes(
    session: &Session,
    volumes: &BTreeMap<(i16, i64), Difference>,
) -> Result<(), Error> {
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((kind, bucket), change) in volumes {
        columns.0.push(*kind);
        columns.1.push(*bucket);
        columns.2.push(change.0);
        columns.3.push(change.1);
    }
    session
        .execute_typed(
            "INSERT INTO sluice.volume (kind, bucket, resources, bytes) \
             SELECT * FROM unnest($1, $2, $3, $4)",
            &[
                (&columns.0, Type::INT2_ARRAY),
                (&columns.1, Type::INT8_ARRAY),
                (&columns.2, Type::INT8_ARRAY),
                (&columns.3, Type::INT8_ARRAY),
            ],
        )
        .await
        .map(drop)
}
