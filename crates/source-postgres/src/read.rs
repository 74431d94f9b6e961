//! Reads a slice: type by type, and within a type first what the patients own, then what lies in more
//! than one compartment, what is nobody's, and last the few bodies that come in pieces.

use futures::{StreamExt, pin_mut};
use sluice_fhir::{Level, ResourceType};
use sluice_model::{Scope, Slice};
use sluice_ports::PortError;
use tokio_postgres::types::Type;

use crate::blocks::{Outlet, Rows, Unheard};
use crate::cohort::{Cohort, page};
use crate::failure::failed;
use crate::kinds::Kinds;
use crate::plan::spans;
use crate::pool::{Connections, Purpose, Session};
use crate::range::{FIRST_PATIENT, FOLLOWS, NOBODY, Span, numbers, quoted};
use crate::view::View;
use crate::{provenance, wave};

/// Patients whose numbers one statement carries.
const PAGE: usize = 20_000;
/// Patients of a cohort held at a time.
const COHORT: i64 = 1_000_000;
/// Numbers of patients in one bitmap.
const WINDOW: i64 = 1 << 20;
/// Bodies above this are read in pieces of it.
pub(crate) const LARGE: i32 = 4 << 20;

/// Why reading ends early.
pub(crate) enum Stop {
    /// It failed.
    Failed(PortError),
    /// Nobody listens.
    Unheard,
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl From<Unheard> for Stop {
    fn from(_: Unheard) -> Self {
        Self::Unheard
    }
}

/// What the reading of a slice needs.
pub(crate) struct Reader<'a> {
    pub(crate) connections: &'a Connections,
    pub(crate) kinds: &'a Kinds,
    pub(crate) scope: &'a Scope,
    pub(crate) view: View,
    pub(crate) cohort: Cohort,
    /// The wanted types of which there is anything; of most there is nothing.
    pub(crate) present: Vec<i16>,
    pub(crate) outlet: Outlet,
}

/// Of which of these types there is anything, dead or alive.
pub(crate) async fn present(
    connections: &Connections,
    codes: &[i16],
) -> Result<Vec<i16>, PortError> {
    let session = connections.begin(Purpose::Ask).await?;
    let rows = session
        .query_typed(
            // LIMIT keeps the planner from reading all of it to find out.
            "SELECT k FROM unnest($1) k, LATERAL (SELECT 1 FROM sluice.resource r \
             WHERE r.kind = k LIMIT 1) x",
            &[(&codes, Type::INT2_ARRAY)],
        )
        .await
        .map_err(failed("looking which types there are"))?;
    session.done().await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

impl Reader<'_> {
    /// Reads all of a slice.
    pub(crate) async fn slice(&mut self, slice: &Slice) -> Result<(), Stop> {
        for (kind, span) in spans(slice)? {
            if !self.present.contains(&self.kinds.code(kind)) {
                continue;
            }
            self.outlet.turn_to(kind).await?;
            self.kind(kind, &span).await?;
            self.large(kind, &span).await?;
        }
        self.outlet.flush().await?;
        Ok(())
    }

    async fn kind(&mut self, kind: ResourceType, span: &Span) -> Result<(), Stop> {
        let code = self.kinds.code(kind);
        let is_provenance = kind.name() == "Provenance";
        match self.cohort.clone() {
            Cohort::Whole => {
                let sql = self.rows(code, &span.holds("r.owner", "r.id"), "r.owner, r.id");
                return self.copy(&sql, None).await;
            }
            _ if is_provenance => {
                if span.touches(FOLLOWS) {
                    let ids = self.provenances(span).await?;
                    self.by_id(code, FOLLOWS, &ids).await?;
                }
                return Ok(());
            }
            Cohort::Everyone => self.everyone(code, span).await?,
            Cohort::Bounded(query) => self.bounded(code, span, &query).await?,
        }
        self.shared(code, span).await?;
        if span.touches(NOBODY) && kind != ResourceType::GROUP {
            let ids = wave::ids(self, kind, &span.within(NOBODY, NOBODY + 1)).await?;
            self.by_id(code, NOBODY, &ids).await?;
        }
        Ok(())
    }

    /// Those that are the cohort's, and those that are nobody's and come along.
    async fn provenances(&self, span: &Span) -> Result<Vec<String>, PortError> {
        let span = span.within(FOLLOWS, FOLLOWS + 1);
        let mut ids = provenance::ids(self, &span).await?;
        if let Some(kind) = self.kinds.kind(provenance::code(self)) {
            ids.extend(wave::ids(self, kind, &span).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// What the Patients who exist own, by ranges of their numbers.
    async fn everyone(&mut self, code: i16, span: &Span) -> Result<(), Stop> {
        let (mut from, to) = span.patients();
        let to = to.min(self.last_patient().await?.saturating_add(1));
        while from < to {
            let end = to.min(from.saturating_add(WINDOW));
            let window = span.within(from, end);
            let exist = Bitmap::of(self, from, end).await?;
            let sql = self.rows(code, &window.holds("r.owner", "r.id"), "r.owner, r.id");
            self.copy(&sql, Some(&exist)).await?;
            from = end;
        }
        Ok(())
    }

    async fn last_patient(&self) -> Result<i64, PortError> {
        let session = self.connections.begin(Purpose::Ask).await?;
        let row = session
            .query_typed_one(
                "SELECT coalesce(max(ordinal), 0) FROM (SELECT owner AS ordinal FROM \
                 sluice.resource WHERE kind = $1 ORDER BY owner DESC LIMIT 1) last",
                &[(&self.kinds.code(ResourceType::PATIENT), Type::INT2)],
            )
            .await
            .map_err(failed("looking for the last patient"))?;
        session.done().await?;
        Ok(row.get(0))
    }

    /// What the patients of a cohort own.
    async fn bounded(&mut self, code: i16, span: &Span, query: &str) -> Result<(), Stop> {
        let (mut from, to) = span.patients();
        while from < to {
            let session = self.connections.begin(Purpose::Ask).await?;
            let patients = page(&session, query, (from, to), COHORT).await?;
            session.done().await?;
            for some in patients.chunks(PAGE) {
                let one = self.rows(
                    code,
                    &format!("r.owner = c.patient AND {}", span.holds("r.owner", "r.id")),
                    "r.id",
                );
                let sql = format!(
                    "SELECT r.owner, r.body FROM unnest({}) AS c(patient), LATERAL ({one}) r",
                    numbers(some, "bigint")
                );
                self.copy(&sql, None).await?;
            }
            match patients.last() {
                Some(last) if patients.len() == usize::try_from(COHORT).unwrap_or(0) => {
                    from = last + 1;
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// What lies in several compartments and is owned by nobody of the cohort: the lowest of the cohort
    /// has it.
    async fn shared(&mut self, code: i16, span: &Span) -> Result<(), Stop> {
        let holds = |who: &str| self.cohort.holds(who, &self.view, self.kinds);
        let (from, to) = span.patients();
        let (lives, changed) = (self.view.lives("r"), self.view.changed("r"));
        let sql = format!(
            "WITH found AS MATERIALIZED (SELECT a.id, a.owner, a.row, min(a.patient) AS first \
             FROM sluice.also a WHERE a.kind = {code} AND a.patient >= {from} AND a.patient < {to} \
             AND {span} AND {among} GROUP BY a.id, a.owner, a.row) \
             SELECT f.first, r.body FROM found f JOIN sluice.resource r ON r.kind = {code} \
             AND r.owner = f.owner AND r.id = f.id AND r.row = f.row \
             WHERE {lives} AND {changed} AND r.size <= {LARGE} AND NOT {owned} \
             AND NOT EXISTS (SELECT 1 FROM unnest(r.others) o WHERE o < f.first AND {other}) \
             ORDER BY f.first, f.id",
            span = span.holds("a.patient", "a.id"),
            among = holds("a.patient"),
            owned = holds("f.owner"),
            other = holds("o"),
        );
        self.copy(&sql, None).await
    }

    /// Bodies of these ids of an owner that is no patient, in this order.
    async fn by_id(&mut self, code: i16, owner: i64, found: &[String]) -> Result<(), Stop> {
        for some in found.chunks(PAGE) {
            let one = self.rows(code, &format!("r.owner = {owner} AND r.id = w.id"), "r.row");
            let sql = format!(
                "SELECT r.owner, r.body FROM unnest({}) AS w(id), LATERAL ({one}) r",
                crate::range::ids(some)
            );
            self.copy(&sql, None).await?;
        }
        Ok(())
    }

    /// Rows of a type under a condition, in order.
    fn rows(&self, code: i16, condition: &str, order: &str) -> String {
        let (lives, changed) = (self.view.lives("r"), self.view.changed("r"));
        format!(
            "SELECT r.owner, r.body FROM sluice.resource r WHERE r.kind = {code} AND {condition} \
             AND {lives} AND {changed} AND r.size <= {LARGE} ORDER BY {order}"
        )
    }

    /// Sends what a query gives.
    async fn copy(&mut self, query: &str, exist: Option<&Bitmap>) -> Result<(), Stop> {
        const ACTION: &str = "reading a slice";
        let session = self.connections.begin(Purpose::Read).await?;
        if !self.view.is_recent() {
            // The order is that of an index; sorting bodies would spill them to disk.
            session
                .batch_execute("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
                .await
                .map_err(failed(ACTION))?;
        }
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let stream = session.copy_out(&*copy).await.map_err(failed(ACTION))?;
        pin_mut!(stream);
        let mut rows = Rows::new();
        while let Some(piece) = stream.next().await {
            rows.feed(piece.map_err(failed(ACTION))?);
            while let Some(row) = rows.next()? {
                if exist.is_none_or(|exist| exist.holds(row.owner)) {
                    self.outlet.line(&row.body).await?;
                }
            }
        }
        if !rows.is_over() {
            return Err(PortError::transient(ACTION, "the rows were cut off").into());
        }
        session.done().await?;
        Ok(())
    }
}

/// Which of a range of patients exist.
pub(crate) struct Bitmap {
    from: i64,
    bits: Vec<u64>,
}

impl Bitmap {
    async fn of(reader: &Reader<'_>, from: i64, to: i64) -> Result<Self, PortError> {
        let session = reader.connections.begin(Purpose::Ask).await?;
        let lives = reader.view.lives("p");
        let rows = session
            .query_typed_raw(
                &format!(
                    "SELECT p.owner FROM sluice.resource p WHERE p.kind = {} AND p.owner >= {from} \
                     AND p.owner < {to} AND {lives}",
                    reader.kinds.code(ResourceType::PATIENT)
                ),
                std::iter::empty::<(i64, Type)>(),
            )
            .await
            .map_err(failed("looking who exists"))?;
        pin_mut!(rows);
        let words = usize::try_from((to - from).div_euclid(64) + 1).unwrap_or(0);
        let mut bitmap = Self {
            from,
            bits: vec![0; words],
        };
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed("looking who exists"))?;
            bitmap.set(row.get(0));
        }
        session.done().await?;
        Ok(bitmap)
    }

    fn place(&self, owner: i64) -> Option<(usize, u64)> {
        let at = usize::try_from(owner.checked_sub(self.from)?).ok()?;
        (at / 64 < self.bits.len()).then_some((at / 64, 1 << (at % 64)))
    }

    fn set(&mut self, owner: i64) {
        if let Some((word, bit)) = self.place(owner) {
            self.bits[word] |= bit;
        }
    }

    pub(crate) fn holds(&self, owner: i64) -> bool {
        self.place(owner)
            .is_some_and(|(word, bit)| self.bits[word] & bit != 0)
    }
}

impl Reader<'_> {
    /// The bodies that were passed over, in pieces, so that no size of theirs fills the memory.
    async fn large(&mut self, kind: ResourceType, span: &Span) -> Result<(), Stop> {
        let code = self.kinds.code(kind);
        let found = self.find_large(kind, code, span).await?;
        for one in found {
            let mut at = 1_i32;
            while at <= one.size {
                let piece = self.piece(code, &one, at).await?;
                self.outlet.piece(&piece).await?;
                at += LARGE;
            }
            self.outlet.end().await?;
        }
        Ok(())
    }

    async fn find_large(
        &self,
        kind: ResourceType,
        code: i16,
        span: &Span,
    ) -> Result<Vec<Large>, PortError> {
        let (lives, changed) = (self.view.lives("r"), self.view.changed("r"));
        let session = self.connections.begin(Purpose::Ask).await?;
        let sql = format!(
            "SELECT r.owner, r.id, r.row, r.size, r.others FROM sluice.resource r \
             WHERE r.kind = {code} AND r.size > 4194304 AND ({} OR r.others IS NOT NULL) \
             AND {lives} AND {changed} ORDER BY r.owner, r.id",
            span.holds("r.owner", "r.id")
        );
        let rows = session
            .query_typed(&sql, &[])
            .await
            .map_err(failed("looking for long resources"))?;
        let mut found = Vec::new();
        for row in rows {
            let large = Large {
                owner: row.get(0),
                id: row.get(1),
                row: row.get(2),
                size: row.get(3),
                others: row.get::<_, Option<Vec<i64>>>(4).unwrap_or_default(),
            };
            if self.takes(&session, kind, span, &large).await? {
                found.push(large);
            }
        }
        session.done().await?;
        Ok(found)
    }

    /// Whether a long resource is in the slice: by the same rules as the others.
    async fn takes(
        &self,
        session: &Session,
        kind: ResourceType,
        span: &Span,
        large: &Large,
    ) -> Result<bool, PortError> {
        let inside = |owner: i64| {
            let key = crate::range::Key(owner, large.id.clone());
            span.0 <= key && span.1.as_ref().is_none_or(|to| key < *to)
        };
        if matches!(self.cohort, Cohort::Whole) {
            return Ok(inside(large.owner));
        }
        match large.owner {
            NOBODY => {
                let one = Span(
                    crate::range::Key(NOBODY, large.id.clone()),
                    Some(crate::range::Key(NOBODY, format!("{}\u{1}", large.id))),
                );
                Ok(inside(NOBODY)
                    && kind != ResourceType::GROUP
                    && !wave::ids(self, kind, &one).await?.is_empty())
            }
            FOLLOWS => {
                let one = Span(
                    crate::range::Key(FOLLOWS, large.id.clone()),
                    Some(crate::range::Key(FOLLOWS, format!("{}\u{1}", large.id))),
                );
                Ok(inside(FOLLOWS) && !self.provenances(&one).await?.is_empty())
            }
            owner if owner < FIRST_PATIENT => Ok(false),
            owner => {
                let mut named = vec![owner];
                named.extend(&large.others);
                let holds = self.cohort.holds("n.patient", &self.view, self.kinds);
                let row = session
                    .query_typed_one(
                        &format!(
                            "SELECT min(n.patient) FROM unnest({}) AS n(patient) WHERE {holds}",
                            numbers(&named, "bigint")
                        ),
                        &[],
                    )
                    .await
                    .map_err(failed("looking whose a resource is"))?;
                Ok(row.get::<_, Option<i64>>(0).is_some_and(inside))
            }
        }
    }

    async fn piece(&self, code: i16, large: &Large, at: i32) -> Result<Vec<u8>, PortError> {
        let session = self.connections.begin(Purpose::Ask).await?;
        let row = session
            .query_typed_one(
                &format!(
                    "SELECT substr(r.body, {at}, {LARGE}) FROM sluice.resource r \
                     WHERE r.kind = {code} AND r.owner = {} AND r.id = {} AND r.row = {}",
                    large.owner,
                    quoted(&large.id),
                    large.row
                ),
                &[],
            )
            .await
            .map_err(failed("reading a long resource"))?;
        session.done().await?;
        Ok(row.get(0))
    }
}

struct Large {
    owner: i64,
    id: String,
    row: i64,
    size: i32,
    others: Vec<i64>,
}

/// The types that an export may hold at its level.
pub(crate) fn wanted(scope: &Scope) -> Vec<ResourceType> {
    let is_whole = scope.level == Level::System && scope.patients.is_none();
    let types = scope.types.iter().copied();
    types
        .filter(|kind| kind.is_exportable() && (is_whole || *kind != ResourceType::GROUP))
        .collect()
}
