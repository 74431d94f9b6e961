//! Cuts a scope into slices of about the target, by what the volumes say; where a bucket of patients is
//! too much, by its rows. Small types share a slice.
//!
//! The volumes say what there is now, and may be wrong about T; so they decide only where the cuts
//! are, and never what is left out: the slices of a type reach from its first key to beyond its last.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_model::{PlannedChunk, Scope, Tally};
use sluice_ports::{PlanStep, PortError, chunk_of, deletions_of, foreign};
use tokio_postgres::types::Type;

use crate::cohort::Cohort;
use crate::failure::failed;
use crate::kinds::Kinds;
use crate::pack::Pack;
use crate::pool::Session;
use crate::range::{BUCKET, FOLLOWS, Key, NOBODY, Span};
use crate::view::View;

/// Buckets looked at with the first statement about a type; each further one takes twice as many.
const FEW: i64 = 256;
/// With one statement at most. Of a bounded cohort always: every statement goes through all of it.
const MOST: i64 = 20_000;

/// Where planning stands: all that the next chunk depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cursor {
    /// The type, by its number in the scope.
    kind: usize,
    /// From where on.
    from: Key,
    /// Whole types that wait for company.
    pack: Pack,
    /// What was deleted is planned too.
    #[serde(default)]
    is_over: bool,
}

/// How much a bucket holds.
#[derive(Clone, Copy, Debug)]
struct Volume {
    bucket: i64,
    tally: Tally,
}

/// Volumes of a type that were read and are not used yet; what one cut leaves is for the next.
struct Ahead {
    code: i16,
    /// From which bucket on.
    from: i64,
    volumes: VecDeque<Volume>,
    /// Whether there are none after them.
    is_end: bool,
    /// How many to ask for next.
    next: i64,
}

impl Ahead {
    fn of(code: i16, from: i64) -> Self {
        Self {
            code,
            from,
            volumes: VecDeque::new(),
            is_end: false,
            next: FEW,
        }
    }

    /// Forgets what lies before a bucket. False if it cannot tell what comes from there on.
    fn reaches(&mut self, code: i16, from: i64) -> bool {
        if self.code != code || from < self.from {
            return false;
        }
        while self
            .volumes
            .pop_front_if(|volume| volume.bucket < from)
            .is_some()
        {}
        self.from = from;
        self.is_end || !self.volumes.is_empty()
    }
}

/// A piece of a type.
struct Piece {
    to: Option<Key>,
    tally: Tally,
}

/// What the cutting of a scope needs.
pub(crate) struct Cutter<'a> {
    pub(crate) session: &'a Session,
    pub(crate) kinds: &'a Kinds,
    pub(crate) scope: &'a Scope,
    pub(crate) view: &'a View,
    pub(crate) cohort: &'a Cohort,
    pub(crate) target: u64,
}

impl Cutter<'_> {
    /// The next chunks.
    pub(crate) async fn step(
        &self,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let types = self.scope.exportable();
        let mut cursor = match cursor {
            Some(text) => serde_json::from_str(text).map_err(|_| foreign("cursor"))?,
            None => Cursor {
                kind: 0,
                from: Key::first(),
                pack: Pack::default(),
                is_over: false,
            },
        };
        let mut chunks = Vec::new();
        let mut ahead = None;
        while chunks.len() < limit {
            match self.next(&types, &mut cursor, &mut ahead).await? {
                Some(chunk) => chunks.push(chunk),
                None => return Ok(PlanStep { chunks, next: None }),
            }
        }
        let here = serde_json::to_string(&cursor).map_err(|_| foreign("cursor"))?;
        let is_over = self.next(&types, &mut cursor, &mut ahead).await?.is_none();
        Ok(PlanStep {
            chunks,
            next: (!is_over).then_some(here),
        })
    }

    async fn next(
        &self,
        types: &[ResourceType],
        cursor: &mut Cursor,
        ahead: &mut Option<Ahead>,
    ) -> Result<Option<PlannedChunk>, PortError> {
        while let Some(kind) = types.get(cursor.kind).copied() {
            let from = cursor.from.clone();
            let piece = self.cut(kind, &from, ahead).await?;
            let is_whole = piece.to.is_none() && from == Key::first();
            if let Some(to) = &piece.to {
                cursor.from = to.clone();
            } else {
                cursor.kind += 1;
                cursor.from = Key::first();
            }
            if !is_whole {
                return chunk_of(&[(kind, Span(from, piece.to))], piece.tally).map(Some);
            }
            let whole = Span(Key::first(), None);
            let ready = cursor.pack.add((kind, piece.tally), self.target, &whole)?;
            if ready.is_some() {
                return Ok(ready);
            }
        }
        if let Some(last) = cursor.pack.take(&Span(Key::first(), None))? {
            return Ok(Some(last));
        }
        if cursor.is_over || self.scope.since.is_none() || types.is_empty() {
            return Ok(None);
        }
        cursor.is_over = true;
        Ok(Some(deletions_of(types.to_vec())))
    }

    /// As much of a type as fits, from a key on; one resource always does.
    async fn cut(
        &self,
        kind: ResourceType,
        from: &Key,
        ahead: &mut Option<Ahead>,
    ) -> Result<Piece, PortError> {
        let code = self.kinds.code(kind);
        let mut sum = Tally::default();
        let mut after = from.bucket();
        if *from != Key::of(after << BUCKET) && *from != Key::first() {
            // The rest of a bucket that was cut before.
            let end = Key::of((after + 1) << BUCKET);
            let rest = Span(from.clone(), Some(end.clone()));
            let volume = self.exact(code, &rest).await?;
            if volume.bytes > self.target {
                if let Some(piece) = self.cut_rows(code, &rest).await? {
                    return Ok(piece);
                }
                return Ok(Piece {
                    to: Some(end),
                    tally: volume,
                });
            }
            sum = volume;
            after += 1;
        }
        loop {
            let ahead = self.look_ahead(ahead, code, after).await?;
            let Some(volume) = ahead.volumes.front().copied() else {
                return Ok(Piece {
                    to: None,
                    tally: sum,
                });
            };
            let start = Key::of(volume.bucket << BUCKET);
            if sum.bytes > 0 && sum.bytes + volume.tally.bytes > self.target {
                return Ok(Piece {
                    to: Some(start),
                    tally: sum,
                });
            }
            if volume.tally.bytes > self.target.saturating_mul(2) {
                let end = Key::of((volume.bucket + 1) << BUCKET);
                let all = Span(start.max(from.clone()), Some(end));
                if let Some(piece) = self.cut_rows(code, &all).await? {
                    return Ok(piece);
                }
            }
            sum += volume.tally;
            after = volume.bucket + 1;
        }
    }

    /// The volumes of a type from a bucket on, the first of them at least.
    async fn look_ahead<'v>(
        &self,
        ahead: &'v mut Option<Ahead>,
        code: i16,
        from: i64,
    ) -> Result<&'v Ahead, PortError> {
        let known = ahead.get_or_insert_with(|| Ahead::of(code, from));
        if known.reaches(code, from) {
            return Ok(known);
        }
        if known.code != code {
            *known = Ahead::of(code, from);
        }
        let most = match self.cohort {
            Cohort::Bounded(_) => MOST,
            Cohort::Whole | Cohort::Everyone => known.next,
        };
        let volumes = self.volumes(code, from, most).await?;
        known.from = from;
        known.is_end = volumes.len() < usize::try_from(most).unwrap_or(usize::MAX);
        known.next = most.saturating_mul(2).min(MOST);
        known.volumes = volumes;
        Ok(known)
    }

    /// The volumes of a type from a bucket on.
    async fn volumes(
        &self,
        code: i16,
        from: i64,
        most: i64,
    ) -> Result<VecDeque<Volume>, PortError> {
        let volumes = if self.view.is_recent() {
            // What changed is found by its time, and is counted.
            let (lives, changed) = (self.view.lives("r"), self.view.changed("r"));
            format!(
                "SELECT r.owner >> {BUCKET} AS bucket, count(*)::bigint AS resources, \
                 sum(r.size + 1)::bigint AS bytes FROM sluice.resource r \
                 WHERE r.kind = {code} AND r.owner >= {} AND {lives} AND {changed} GROUP BY 1",
                from << BUCKET
            )
        } else {
            format!(
                "SELECT v.bucket, sum(v.resources)::bigint AS resources, \
                 sum(v.bytes)::bigint AS bytes FROM sluice.volume v \
                 WHERE v.kind = {code} AND v.bucket >= {from} GROUP BY 1"
            )
        };
        // Of a bucket, as much as the share of its patients that are in the cohort.
        let share = match self.cohort {
            Cohort::Bounded(query) => format!(
                "JOIN (SELECT c.patient >> {BUCKET} AS bucket, count(*) AS members \
                 FROM ({query}) c GROUP BY 1 UNION ALL VALUES ({}, 64), ({}, 64)) s USING (bucket)",
                NOBODY >> BUCKET,
                FOLLOWS >> BUCKET,
            ),
            Cohort::Whole | Cohort::Everyone => {
                "CROSS JOIN (SELECT 64::bigint AS members) s".to_owned()
            }
        };
        let sql = format!(
            "SELECT bucket, ceil(resources * s.members / 64.0)::bigint, \
             ceil(bytes * s.members / 64.0)::bigint FROM ({volumes}) v {share} \
             WHERE bucket >= $1 AND resources > 0 AND bytes > 0 ORDER BY bucket LIMIT $2"
        );
        let rows = self
            .session
            .query_typed(&sql, &[(&from, Type::INT8), (&most, Type::INT8)])
            .await
            .map_err(failed("planning"))?;
        let volume = |row: &tokio_postgres::Row| Volume {
            bucket: row.get(0),
            tally: tally(row, 1),
        };
        Ok(rows.iter().map(volume).collect())
    }

    /// How much a span holds.
    async fn exact(&self, code: i16, span: &Span) -> Result<Tally, PortError> {
        let sql = format!(
            "SELECT count(*)::bigint, coalesce(sum(r.size + 1), 0)::bigint \
             FROM sluice.resource r WHERE {}",
            self.rows(code, span)
        );
        let row = self.session.query_typed_one(&sql, &[]).await;
        Ok(tally(&row.map_err(failed("planning"))?, 0))
    }

    /// The first rows of a span that together are no more than the target, at least one; nothing if
    /// that is all of them.
    async fn cut_rows(&self, code: i16, span: &Span) -> Result<Option<Piece>, PortError> {
        let sql = format!(
            "SELECT x.owner, x.id, x.n::bigint, (x.upto - x.size)::bigint FROM ( \
             SELECT r.owner, r.id, r.size + 1 AS size, row_number() OVER w - 1 AS n, \
             sum(r.size + 1) OVER w AS upto FROM sluice.resource r WHERE {} \
             WINDOW w AS (ORDER BY r.owner, r.id, r.row)) x \
             WHERE x.upto > $1 AND x.n > 0 ORDER BY x.owner, x.id LIMIT 1",
            self.rows(code, span)
        );
        let target = i64::try_from(self.target).unwrap_or(i64::MAX);
        let row = self
            .session
            .query_typed_opt(&sql, &[(&target, Type::INT8)])
            .await
            .map_err(failed("planning"))?;
        Ok(row.map(|row| Piece {
            to: Some(Key(row.get(0), row.get(1))),
            tally: tally(&row, 2),
        }))
    }

    fn rows(&self, code: i16, span: &Span) -> String {
        let (lives, changed) = (self.view.lives("r"), self.view.changed("r"));
        let holds = span.holds("r.owner", "r.id");
        format!("r.kind = {code} AND {holds} AND {lives} AND {changed}")
    }
}

fn tally(row: &tokio_postgres::Row, at: usize) -> Tally {
    let number = |at| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    Tally {
        resources: number(at),
        bytes: number(at + 1),
    }
}
