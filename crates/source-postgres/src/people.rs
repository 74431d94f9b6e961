//! Who exists and who is a member, as far as a slice has asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, pin_mut};
use sluice_fhir::ResourceType;
use sluice_ports::PortError;
use tokio_postgres::types::Type;

use crate::cohort::page;
use crate::failure::failed;
use crate::pool::Purpose;
use crate::read::Reader;

/// Ranges of which it is known who exists: with 128 KiB for each no more than 8 MiB, for 64 million patients. Each type
/// of a slice goes through them all.
const WINDOWS: usize = 64;

/// A range of numbers, and the members in it.
type Members = ((i64, i64), Arc<Vec<i64>>);

/// The answers to what a slice has asked; it has one T, so they hold as long as it is read.
#[derive(Default)]
pub(crate) struct People {
    last: Option<i64>,
    /// At most [`WINDOWS`].
    exist: BTreeMap<(i64, i64), Arc<Bitmap>>,
    members: Option<Members>,
}

impl Reader<'_> {
    /// The highest number of a Patient.
    pub(crate) async fn last_patient(&mut self) -> Result<i64, PortError> {
        if let Some(last) = self.people.last {
            return Ok(last);
        }
        let row = self
            .connections
            .ask_one(
                (Purpose::Ask, "looking for the last patient"),
                "SELECT coalesce(max(ordinal), 0) FROM (SELECT owner AS ordinal FROM \
                 sluice.resource WHERE kind = $1 ORDER BY owner DESC LIMIT 1) last",
                &[(&self.kinds.code(ResourceType::PATIENT), Type::INT2)],
            )
            .await?;
        let last = row.get(0);
        self.people.last = Some(last);
        Ok(last)
    }

    /// Which of a range of patients exist.
    pub(crate) async fn exist(&mut self, from: i64, to: i64) -> Result<Arc<Bitmap>, PortError> {
        if let Some(known) = self.people.exist.get(&(from, to)) {
            return Ok(Arc::clone(known));
        }
        let exist = Arc::new(Bitmap::of(self, from, to).await?);
        let known = &mut self.people.exist;
        if known.len() >= WINDOWS {
            known.pop_first();
        }
        known.insert((from, to), Arc::clone(&exist));
        Ok(exist)
    }

    /// The first patients of a bounded cohort in a range, in order, as many as asked for at most.
    pub(crate) async fn members(
        &mut self,
        query: &str,
        range: (i64, i64),
        limit: i64,
    ) -> Result<Arc<Vec<i64>>, PortError> {
        if let Some((of, known)) = &self.people.members
            && *of == range
        {
            return Ok(Arc::clone(known));
        }
        let members = Arc::new(page(self.connections, query, range, limit).await?);
        self.people.members = Some((range, Arc::clone(&members)));
        Ok(members)
    }
}

/// Which of a range of patients exist.
pub(crate) struct Bitmap {
    from: i64,
    bits: Vec<u64>,
}

impl Bitmap {
    async fn of(reader: &Reader<'_>, from: i64, to: i64) -> Result<Self, PortError> {
        const ACTION: &str = "looking who exists";
        let sql = format!(
            "SELECT p.owner FROM sluice.resource p WHERE p.kind = {} AND p.owner >= {from} \
             AND p.owner < {to} AND {}",
            reader.kinds.code(ResourceType::PATIENT),
            reader.view.lives("p")
        );
        let (session, rows) = reader
            .connections
            .rows((Purpose::Ask, ACTION), &sql)
            .await?;
        let words = usize::try_from((to - from).div_euclid(64) + 1).unwrap_or(0);
        let mut bitmap = Self {
            from,
            bits: vec![0; words],
        };
        let read = async {
            pin_mut!(rows);
            while let Some(row) = rows.next().await {
                bitmap.set(row.map_err(failed(ACTION))?.get(0));
            }
            Ok::<(), PortError>(())
        };
        session.done_after(read).await?;
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
