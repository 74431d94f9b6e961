//! Reads notes: a share of those that data and surveys left, and what was matched of one survey.

use std::collections::HashSet;
use std::future::ready;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use sluice_model::{Associated, JobRecord, Notes, NotesOf, Receipt};
use sluice_ports::{Blobs, PortError, PortKind};

use super::BUCKETS;
use super::attach::{Attached, besides};
use super::matching::{matched, written};
use super::notes::{About, Record, Resource, records, table};
use crate::Journal;

/// Notes read at once.
const READS: usize = 16;

/// The notes of a job.
pub(crate) struct Shelf<'j> {
    pub(crate) blobs: &'j dyn Blobs,
    pub(crate) journal: &'j Journal,
    pub(crate) record: &'j JobRecord,
    /// Chunks before which all earlier ones have ended: the first that matches, and the first that attaches.
    pub(crate) barriers: &'j [u32],
}

/// Notes that a match holds at once, of at most 48 bytes each.
const AT_ONCE: u64 = 1 << 21;

/// A piece of what data and surveys left.
enum Piece {
    Exported(Vec<Resource>),
    About(Vec<(About, u32)>),
}

impl Shelf<'_> {
    fn associated(&self) -> Result<Associated, PortError> {
        let associated = self.record.scope.selection.associated;
        associated.ok_or_else(|| broken("matching Provenances that nobody asked for"))
    }

    /// The first chunk that matches, and the first that attaches.
    fn bounds(&self) -> Result<(u32, u32), PortError> {
        match self.barriers {
            [matches] => Ok((*matches, u32::MAX)),
            [matches, attaches, ..] => Ok((*matches, *attaches)),
            [] => Err(broken("matching Provenances that nothing was planned for")),
        }
    }

    /// The Provenances that come along with what is noted in these buckets; `None` if there are none. However many
    /// notes there are, about [`AT_ONCE`] of them are held at a time.
    pub(crate) async fn matched(
        &self,
        buckets: Range<u32>,
    ) -> Result<Option<(NotesOf, Bytes)>, PortError> {
        let which = self.associated()?.provenances;
        let (end, _) = self.bounds()?;
        let receipts = self
            .journal
            .receipts(&self.record.name, |chunk| chunk.ordinal() < end);
        let notes = receipts.try_filter_map(|receipt| ready(Ok(receipt.notes)));
        let notes: Vec<Notes> = notes.try_collect().await?;
        let surveys = notes.iter().filter_map(|notes| match notes.of {
            NotesOf::About { survey } => Some(survey + 1),
            _ => None,
        });
        let surveys = surveys.max().unwrap_or(0);
        let mut found = Vec::new();
        for share in self.shares(&notes, buckets).await? {
            let mut pieces = Vec::new();
            for notes in &notes {
                pieces.push(self.piece(notes, share.clone()).boxed());
            }
            let mut pieces = stream::iter(pieces).buffer_unordered(READS);
            let (mut exported, mut about) = (Vec::new(), Vec::new());
            while let Some(piece) = pieces.try_next().await? {
                match piece {
                    Some(Piece::Exported(some)) => exported.extend(some),
                    Some(Piece::About(some)) => about.extend(some),
                    None => {}
                }
            }
            let work = tokio::task::spawn_blocking(move || matched(which, exported, about));
            let some = work
                .await
                .map_err(|error| PortError::transient("matching Provenances", error))?;
            found.extend(some);
        }
        found.sort_unstable();
        found.dedup();
        let bytes = (!found.is_empty()).then(|| written(&found, surveys));
        Ok(bytes.map(|bytes| (NotesOf::Matched { surveys }, bytes.into())))
    }

    /// Cuts buckets into runs of which each has few enough notes to be held, or is a single one.
    async fn shares(
        &self,
        notes: &[Notes],
        buckets: Range<u32>,
    ) -> Result<Vec<Range<u32>>, PortError> {
        let places = usize::try_from(buckets.end - buckets.start).unwrap_or(0);
        let mut counts = vec![0_u64; places];
        let mut tables = Vec::new();
        for notes in notes {
            tables.push(self.places(&notes.key, buckets.clone()).boxed());
        }
        let mut tables = stream::iter(tables).buffer_unordered(READS);
        while let Some(begins) = tables.try_next().await? {
            for (count, pair) in counts.iter_mut().zip(begins.windows(2)) {
                *count += pair[1].saturating_sub(pair[0]);
            }
        }
        let (mut shares, mut begun, mut held) = (Vec::new(), buckets.start, 0);
        for (bucket, count) in buckets.clone().zip(counts) {
            if held > 0 && held + count > AT_ONCE {
                shares.push(begun..bucket);
                (begun, held) = (bucket, 0);
            }
            held += count;
        }
        shares.push(begun..buckets.end);
        Ok(shares)
    }

    async fn piece(&self, notes: &Notes, buckets: Range<u32>) -> Result<Option<Piece>, PortError> {
        Ok(match notes.of {
            NotesOf::Exported => Some(Piece::Exported(self.share(&notes.key, buckets).await?)),
            NotesOf::About { survey } => {
                let about = self.share(&notes.key, buckets).await?;
                let about = about.into_iter().map(|note| (note, survey));
                Some(Piece::About(about.collect()))
            }
            NotesOf::Matched { .. } => None,
        })
    }

    /// The records of these buckets.
    async fn share<R: Record>(&self, key: &str, buckets: Range<u32>) -> Result<Vec<R>, PortError> {
        let size = u64::try_from(R::BYTES).unwrap_or(1);
        let bytes = self.between(key, BUCKETS, buckets, size).await?;
        Ok(records(&bytes).collect())
    }

    /// What lies between two places of a table, of things of one size.
    async fn between(
        &self,
        key: &str,
        places: u32,
        of: Range<u32>,
        size: u64,
    ) -> Result<Bytes, PortError> {
        let begins = self.places(key, of).await?;
        let at = |count: &u64| table(places) + count * size;
        match (begins.first(), begins.last()) {
            (Some(begin), Some(end)) => self.bytes(key, at(begin)..at(end)).await,
            _ => Err(broken("reading where notes begin")),
        }
    }

    /// How many things there are before each of these places, and before the one behind them.
    async fn places(&self, key: &str, of: Range<u32>) -> Result<Vec<u64>, PortError> {
        let at = |place: u32| 4 * u64::from(place);
        let bytes = self.bytes(key, at(of.start)..at(of.end) + 4).await?;
        let (numbers, _) = bytes.as_chunks();
        let numbers = numbers.iter().copied().map(u32::from_le_bytes);
        Ok(numbers.map(u64::from).collect())
    }

    async fn bytes(&self, key: &str, range: Range<u64>) -> Result<Bytes, PortError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let wanted = range.end - range.start;
        let mut body = self.blobs.read(key, range).await?;
        let mut bytes = BytesMut::new();
        while let Some(some) = body.next().await {
            bytes.extend_from_slice(&some?);
        }
        if u64::try_from(bytes.len()) != Ok(wanted) {
            return Err(broken("reading notes to their end"));
        }
        Ok(bytes.freeze())
    }

    /// What one match found of a survey.
    async fn list(&self, receipt: Receipt, survey: u32) -> Result<Bytes, PortError> {
        if receipt.failure.is_some() {
            return Err(broken(
                "attaching Provenances of which some could not be matched",
            ));
        }
        match receipt.notes {
            Some(Notes {
                key,
                of: NotesOf::Matched { surveys },
            }) if survey < surveys => self.between(&key, surveys, survey..survey + 1, 8).await,
            _ => Ok(Bytes::new()),
        }
    }

    /// The Provenances of one survey that come along.
    pub(crate) async fn attached(&self, survey: u32) -> Result<Attached, PortError> {
        let (first, end) = self.bounds()?;
        let receipts = self.journal.receipts(&self.record.name, |chunk| {
            (first..end).contains(&chunk.ordinal())
        });
        let lists = receipts.map_ok(move |receipt| self.list(receipt, survey).boxed());
        let mut lists = std::pin::pin!(lists.try_buffer_unordered(READS));
        let mut matched = HashSet::new();
        while let Some(list) = lists.try_next().await? {
            let (numbers, _) = list.as_chunks();
            matched.extend(numbers.iter().copied().map(u64::from_le_bytes));
        }
        Ok(Attached::new(matched, besides(self.record)))
    }
}

fn broken(action: &'static str) -> PortError {
    PortError::new(PortKind::Permanent, action)
}
