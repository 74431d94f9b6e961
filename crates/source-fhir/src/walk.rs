//! One search to its end: every match once, however the pages come, and held against the server's own
//! count. If that does not fit, all is read once more; if it still does not, it is told.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use sluice_fhir::facts::{Facts, Reason, scan};
use sluice_ports::PortError;

use crate::bundle::{Entry, Page};
use crate::failure::Failure;
use crate::http::Ask;
use crate::notes::{Note, Notes};
use crate::upstream::{Query, Upstream};

/// Pages in a row that bring nothing new before it is a loop.
const BARREN: usize = 8;

/// What is done with resources.
#[async_trait]
pub(crate) trait Take: Send {
    /// Takes one, which has not come before in this search.
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError>;
}

/// How a reading of all pages ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Last,
    Loop,
    TooLarge,
}

struct Walk<'a> {
    upstream: &'a Upstream,
    query: &'a Query,
    /// Resources a page.
    size: usize,
    /// What came, by a digest of its id.
    seen: HashSet<u128>,
    /// What was wrong in this reading.
    odd: BTreeMap<Note, u64>,
    total: Option<u64>,
    pages: usize,
}

impl Upstream {
    /// Takes every match of a search once.
    pub(crate) async fn walk(
        &self,
        query: &Query,
        notes: &Notes,
        take: &mut dyn Take,
    ) -> Result<(), Failure> {
        let mut walk = Walk::new(self, query);
        let end = walk.pass(usize::MAX, take).await?;
        let mut gap = walk.gap(end).await?;
        if gap.is_some_and(|(note, _)| note != Note::TooLarge) {
            let end = walk.pass(walk.pages + BARREN, take).await?;
            gap = walk.gap(end).await?;
        }
        for (note, count) in walk.odd.into_iter().chain(gap) {
            notes.add(query.kind, note, count);
        }
        Ok(())
    }

    /// Takes every match of a search for resources by id, which need not all be there.
    pub(crate) async fn walk_some(
        &self,
        query: &Query,
        notes: &Notes,
        take: &mut dyn Take,
    ) -> Result<(), Failure> {
        let mut walk = Walk::new(self, query);
        if walk.pass(usize::MAX, take).await? == End::TooLarge {
            notes.add(query.kind, Note::TooLarge, 1);
        }
        for (note, count) in walk.odd {
            notes.add(query.kind, note, count);
        }
        Ok(())
    }
}

impl<'a> Walk<'a> {
    fn new(upstream: &'a Upstream, query: &'a Query) -> Self {
        Self {
            upstream,
            query,
            size: upstream.http.options.page.max(1),
            seen: HashSet::new(),
            odd: BTreeMap::new(),
            total: None,
            pages: 0,
        }
    }

    /// Reads all pages, but no more than so many.
    async fn pass(&mut self, most: usize, take: &mut dyn Take) -> Result<End, Failure> {
        let (mut visited, mut barren, mut restarted) = (HashSet::new(), 0, false);
        let mut next: Option<Ask> = None;
        self.odd.clear();
        self.pages = 0;
        loop {
            let page = match &next {
                Some(ask) => self.upstream.page(ask).await,
                None => self.upstream.first(self.query, self.size).await,
            };
            let page: Page = match page {
                Ok(page) => page,
                Err(Failure::TooLarge) if self.size > 1 => {
                    self.size = (self.size / 8).max(1);
                    (next, barren) = (None, 0);
                    visited.clear();
                    continue;
                }
                Err(Failure::TooLarge) => return Ok(End::TooLarge),
                // A place in a search may be forgotten after a while.
                Err(failure) if failure.is_no() && next.is_some() && !restarted => {
                    (restarted, next, barren) = (true, None, 0);
                    visited.clear();
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            self.pages += 1;
            self.total = page.total.or(self.total);
            let before = self.seen.len();
            for entry in page.entries {
                self.entry(entry, take).await?;
            }
            let Some(link) = page.next else {
                return Ok(End::Last);
            };
            let url = self.upstream.http.follow(&link)?;
            barren = if self.seen.len() == before {
                barren + 1
            } else {
                0
            };
            let is_fresh = visited.insert(digest(url.as_str()));
            if !is_fresh || self.pages >= most || (most == usize::MAX && barren > BARREN) {
                return Ok(End::Loop);
            }
            next = Some(Ask::Get(url));
        }
    }

    async fn entry(&mut self, entry: Entry, take: &mut dyn Take) -> Result<(), PortError> {
        let note = match scan(&entry.line) {
            Ok(facts) if facts.kind == self.query.kind && entry.is_match => {
                if self.seen.insert(digest(&facts.id)) {
                    take.take(facts, entry.line).await?;
                }
                return Ok(());
            }
            Ok(_) => Note::WrongType,
            // What the server says about the search.
            Err(Reason::NoData) => return Ok(()),
            Err(reason) => Note::Broken(reason.summary()),
        };
        if entry.is_match {
            *self.odd.entry(note).or_default() += 1;
        }
        Ok(())
    }

    /// What does not fit between what was found and what the server counts.
    async fn gap(&self, end: End) -> Result<Option<(Note, u64)>, Failure> {
        if end == End::TooLarge {
            return Ok(Some((Note::TooLarge, 1)));
        }
        let broken = self
            .odd
            .iter()
            .filter(|(note, _)| matches!(note, Note::Broken(_)));
        let broken: u64 = broken.map(|(_, count)| count).sum();
        let found = u64::try_from(self.seen.len()).unwrap_or(u64::MAX) + broken;
        if end == End::Last && self.total == Some(found) {
            return Ok(None);
        }
        let counted = self.upstream.count(self.query).await?.or(self.total);
        Ok(match counted {
            Some(counted) if counted > found => Some((Note::Missing, counted - found)),
            Some(counted) if counted < found => Some((Note::Uncounted, found - counted)),
            None if end == End::Loop => Some((Note::Loop, 1)),
            Some(_) | None => None,
        })
    }
}

/// Long enough that no two ids have the same.
fn digest(text: &str) -> u128 {
    let digest = Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(bytes)
}
