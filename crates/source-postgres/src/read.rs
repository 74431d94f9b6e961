//! Reads a slice: type by type, and within a type first what the patients own, then what lies in more
//! than one compartment, what is nobody's, and last the few bodies that come in pieces.

use futures::{StreamExt, pin_mut};
use sluice_fhir::ResourceType;
use sluice_model::Scope;
use sluice_ports::{Outlet, PortError, Unheard};
use tokio::sync::OnceCell;

use crate::cohort::Cohort;
use crate::failure::failed;
use crate::holdings::{Held, Holdings};
use crate::kinds::Kinds;
use crate::large::Large;
use crate::people::{Bitmap, People};
use crate::pool::Connections;
use crate::range::{FOLLOWS, NOBODY, Span, numbers};
use crate::rows::Rows;
use crate::view::View;
use crate::{holdings, provenance, wave};

/// Patients whose numbers one statement carries.
const PAGE: usize = 20_000;
/// Patients of a cohort held at a time.
const COHORT: i64 = 1_000_000;
/// Numbers of patients in one bitmap.
const WINDOW: i64 = 1 << 20;
/// Bodies above this are read in pieces of it.
pub(crate) const LARGE: i32 = 4 << 20;

/// The order is that of an index; sorting bodies would spill them to disk.
const ORDERLY: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; \
     SET LOCAL enable_seqscan = off";

/// Why reading ends early.
pub(crate) enum Stop {
    /// It failed.
    Failed(PortError),
    /// Nobody listens.
    Unheard,
}

impl Stop {
    /// How a reader ends: that nobody listens is no failure of its own.
    pub(crate) fn settle(read: Result<(), Self>) -> Result<(), PortError> {
        match read {
            Ok(()) | Err(Self::Unheard) => Ok(()),
            Err(Self::Failed(error)) => Err(error),
        }
    }
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
    /// The types of the slice of which there is anything; of most there is nothing.
    pub(crate) held: Holdings,
    /// The wanted types of which there is anything, once that was asked.
    pub(crate) present: OnceCell<Vec<i16>>,
    /// Long bodies of the slice, which are passed over and read in pieces.
    pub(crate) large: Vec<Large>,
    /// Who was asked for last: the types of a slice are mostly about the same people.
    pub(crate) people: People,
    pub(crate) outlet: Outlet,
}

impl Reader<'_> {
    /// Reads all of a slice.
    pub(crate) async fn slice(&mut self, spans: &[(ResourceType, Span)]) -> Result<(), Stop> {
        for (kind, span) in spans {
            let Some(held) = self.held.of(self.kinds.code(*kind)) else {
                continue;
            };
            self.outlet.turn_to(*kind).await?;
            self.kind((*kind, held), span).await?;
            self.large(*kind, span).await?;
        }
        self.outlet.flush().await?;
        Ok(())
    }

    async fn kind(&mut self, (kind, held): (ResourceType, Held), span: &Span) -> Result<(), Stop> {
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
        if held.shared {
            self.shared(code, span).await?;
        }
        if span.touches(NOBODY) && kind != ResourceType::GROUP {
            let ids = wave::ids(self, kind, &span.within(NOBODY, NOBODY + 1)).await?;
            self.by_id(code, NOBODY, &ids).await?;
        }
        Ok(())
    }

    /// The wanted types of which there is anything.
    pub(crate) async fn present(&self) -> Result<&[i16], PortError> {
        let ask = || async {
            let codes = self.kinds.codes(&self.scope.exportable());
            holdings::present(self.connections, &codes).await
        };
        Ok(self.present.get_or_try_init(ask).await?)
    }

    /// Those that are the cohort's, and those that are nobody's and come along.
    pub(crate) async fn provenances(&self, span: &Span) -> Result<Vec<String>, PortError> {
        let span = span.within(FOLLOWS, FOLLOWS + 1);
        let mut ids = provenance::ids(self, &span).await?;
        if let Some(kind) = self.kinds.kind(provenance::code(self.kinds)) {
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
            let exist = self.exist(from, end).await?;
            let sql = self.rows(code, &window.holds("r.owner", "r.id"), "r.owner, r.id");
            self.copy(&sql, Some(&exist)).await?;
            from = end;
        }
        Ok(())
    }

    /// What the patients of a cohort own.
    async fn bounded(&mut self, code: i16, span: &Span, query: &str) -> Result<(), Stop> {
        let (mut from, to) = span.patients();
        while from < to {
            let patients = self.members(query, (from, to), COHORT).await?;
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
        let settings = if self.view.is_recent() { "" } else { ORDERLY };
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let (session, stream) = self.connections.copy(ACTION, settings, &copy).await?;
        let read = async {
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
            Ok::<(), Stop>(())
        };
        session.done_after(read).await
    }
}
