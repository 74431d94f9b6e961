//! Bodies that are read in pieces, so that no size of theirs fills the memory.

use sluice_fhir::ResourceType;
use sluice_ports::PortError;

use crate::cohort::Cohort;
use crate::pool::Purpose;
use crate::range::{FIRST_PATIENT, FOLLOWS, Key, NOBODY, Span, numbers, quoted};
use crate::read::{LARGE, Reader, Stop};
use crate::wave;

impl Reader<'_> {
    /// The bodies of a span that were passed over.
    pub(crate) async fn large(&mut self, kind: ResourceType, span: &Span) -> Result<(), Stop> {
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
        let sql = format!(
            "SELECT r.owner, r.id, r.row, r.size, r.others FROM sluice.resource r \
             WHERE r.kind = {code} AND r.size > 4194304 AND ({} OR r.others IS NOT NULL) \
             AND {lives} AND {changed} ORDER BY r.owner, r.id",
            span.holds("r.owner", "r.id")
        );
        let ask = (Purpose::Ask, "looking for long resources");
        let rows = self.connections.ask(ask, &sql, &[]).await?;
        let mut found = Vec::new();
        for row in rows {
            let large = Large {
                owner: row.get(0),
                id: row.get(1),
                row: row.get(2),
                size: row.get(3),
                others: row.get::<_, Option<Vec<i64>>>(4).unwrap_or_default(),
            };
            if self.takes(kind, span, &large).await? {
                found.push(large);
            }
        }
        Ok(found)
    }

    /// Whether a long resource is in the slice: by the same rules as the others.
    async fn takes(
        &self,
        kind: ResourceType,
        span: &Span,
        large: &Large,
    ) -> Result<bool, PortError> {
        let inside = |owner: i64| {
            let key = Key(owner, large.id.clone());
            span.0 <= key && span.1.as_ref().is_none_or(|to| key < *to)
        };
        if matches!(self.cohort, Cohort::Whole) {
            return Ok(inside(large.owner));
        }
        match large.owner {
            NOBODY => {
                let one = Span(
                    Key(NOBODY, large.id.clone()),
                    Some(Key(NOBODY, format!("{}\u{1}", large.id))),
                );
                Ok(inside(NOBODY)
                    && kind != ResourceType::GROUP
                    && !wave::ids(self, kind, &one).await?.is_empty())
            }
            FOLLOWS => {
                let one = Span(
                    Key(FOLLOWS, large.id.clone()),
                    Some(Key(FOLLOWS, format!("{}\u{1}", large.id))),
                );
                Ok(inside(FOLLOWS) && !self.provenances(&one).await?.is_empty())
            }
            owner if owner < FIRST_PATIENT => Ok(false),
            owner => {
                let mut named = vec![owner];
                named.extend(&large.others);
                let holds = self.cohort.holds("n.patient", &self.view, self.kinds);
                let row = self
                    .connections
                    .ask_one(
                        (Purpose::Ask, "looking whose a resource is"),
                        &format!(
                            "SELECT min(n.patient) FROM unnest({}) AS n(patient) WHERE {holds}",
                            numbers(&named, "bigint")
                        ),
                        &[],
                    )
                    .await?;
                Ok(row.get::<_, Option<i64>>(0).is_some_and(inside))
            }
        }
    }

    async fn piece(&self, code: i16, large: &Large, at: i32) -> Result<Vec<u8>, PortError> {
        let row = self
            .connections
            .ask_one(
                (Purpose::Ask, "reading a long resource"),
                &format!(
                    "SELECT substr(r.body, {at}, {LARGE}) FROM sluice.resource r \
                     WHERE r.kind = {code} AND r.owner = {} AND r.id = {} AND r.row = {}",
                    large.owner,
                    quoted(&large.id),
                    large.row
                ),
                &[],
            )
            .await?;
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
