//! Bodies that are read in pieces, so that no size of theirs fills the memory.

use sluice_fhir::ResourceType;
use sluice_ports::PortError;
use tokio_postgres::Row;

use crate::cohort::Cohort;
use crate::kinds::Kinds;
use crate::pool::Purpose;
use crate::range::{FIRST_PATIENT, FOLLOWS, Key, NOBODY, Span, numbers, quoted};
use crate::read::{LARGE, Reader, Stop};
use crate::view::View;
use crate::wave;

impl Reader<'_> {
    /// The bodies of a span that were passed over.
    pub(crate) async fn large(&mut self, kind: ResourceType, span: &Span) -> Result<(), Stop> {
        let code = self.kinds.code(kind);
        let of_kind = self.large.extract_if(.., |large| large.code == code);
        for one in of_kind.collect::<Vec<_>>() {
            if !self.takes(kind, span, &one).await? {
                continue;
            }
            let mut at = 1_i32;
            while at <= one.size {
                let piece = self.piece(&one, at).await?;
                self.outlet.piece(&piece).await?;
                at += LARGE;
            }
            self.outlet.end().await?;
        }
        Ok(())
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

    async fn piece(&self, large: &Large, at: i32) -> Result<Vec<u8>, PortError> {
        let row = self
            .connections
            .ask_one(
                (Purpose::Ask, "reading a long resource"),
                &format!(
                    "SELECT substr(r.body, {at}, {LARGE}) FROM sluice.resource r \
                     WHERE r.kind = {} AND r.owner = {} AND r.id = {} AND r.row = {}",
                    large.code,
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

/// A long body that may be the slice's.
pub(crate) struct Large {
    code: i16,
    owner: i64,
    id: String,
    row: i64,
    size: i32,
    others: Vec<i64>,
}

impl Large {
    /// The statement that looks for the long bodies that may be of these types and spans, of which there is at least one:
    /// one for all of them, as mostly there are none.
    pub(crate) fn sql(
        kinds: &Kinds,
        view: &View,
        spans: &[(ResourceType, Span)],
        is_whole: bool,
    ) -> String {
        // Types that share a slice have the same span.
        let groups = spans.chunk_by(|one, next| one.1 == next.1);
        let groups = groups.filter_map(|same| {
            let types: Vec<ResourceType> = same.iter().map(|(kind, _)| *kind).collect();
            let codes = numbers(&kinds.codes(&types), "smallint");
            let (_, span) = same.first()?;
            let (from, to) = span.patients();
            let own = span.holds("r.owner", "r.id");
            // Where all is read alike, a resource is where its owner is.
            let inside = if is_whole {
                own
            } else {
                format!(
                    "({own} OR EXISTS (SELECT 1 FROM unnest(r.others) o WHERE o >= {from} AND o < {to}))"
                )
            };
            Some(format!("(r.kind = ANY({codes}) AND {inside})"))
        });
        format!(
            "SELECT r.kind, r.owner, r.id, r.row, r.size, r.others FROM sluice.resource r \
             WHERE r.size > 4194304 AND ({}) AND {} AND {} ORDER BY r.kind, r.owner, r.id",
            groups.collect::<Vec<_>>().join(" OR "),
            view.lives("r"),
            view.changed("r")
        )
    }

    /// What that statement found.
    pub(crate) fn found(rows: &[Row]) -> Vec<Self> {
        let large = |row: &Row| Self {
            code: row.get(0),
            owner: row.get(1),
            id: row.get(2),
            row: row.get(3),
            size: row.get(4),
            others: row.get::<_, Option<Vec<i64>>>(5).unwrap_or_default(),
        };
        rows.iter().map(large).collect()
    }
}
