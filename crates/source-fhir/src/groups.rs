//! Searches Groups. The server finds what may match, as far as it can; what matches is decided here, the
//! same for every server.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_fhir::facts::{Facts, without_members};
use sluice_ports::{GroupPage, GroupQuery, PortError};

use crate::notes::Notes;
use crate::upstream::{Query, Upstream};
use crate::walk::Take;

/// A Group longer than this is found without its members; reading it by its id gives them.
const LONG: usize = 1 << 20;
/// Bytes after which a page ends.
const PAGE_BYTES: usize = 4 << 20;

impl Upstream {
    /// A page of Groups, inactive ones too: they are data like others.
    pub(crate) async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        let kind = ResourceType::GROUP;
        if !self.offer.can_search(kind) {
            return Ok(GroupPage::default());
        }
        let notes = Notes::default();
        let mut matching = Matching {
            query,
            ids: Vec::new(),
        };
        let fields = "id,active,name,identifier";
        let search = Query::new(kind).with("_elements", fields);
        if query.ids.is_empty() {
            let found = self.walk(&search, &notes, &mut matching).await;
            found.map_err(|failure| failure.during(self.action(kind)))?;
        } else {
            self.fetch(&search, &query.ids, &notes, &mut matching)
                .await?;
        }
        let mut ids = matching.ids;
        ids.sort_unstable();
        let total = ids.len();
        let page = ids.into_iter().skip(query.offset).take(query.limit);
        let page: Vec<String> = page.collect();
        let mut whole = Whole::default();
        self.fetch(&Query::new(kind), &page, &notes, &mut whole)
            .await?;
        let (mut groups, mut bytes) = (Vec::new(), 0);
        for (_, group) in whole.0 {
            if bytes >= PAGE_BYTES {
                break;
            }
            bytes += group.len();
            groups.push(group);
        }
        Ok(GroupPage { groups, total })
    }
}

/// Remembers which match.
struct Matching<'q> {
    query: &'q GroupQuery,
    ids: Vec<String>,
}

#[async_trait]
impl Take for Matching<'_> {
    async fn take(&mut self, facts: Facts, _line: Bytes) -> Result<(), PortError> {
        let Some(group) = &facts.group else {
            return Ok(());
        };
        if self.query.matches(&facts.id, group) {
            self.ids.push(facts.id);
        }
        Ok(())
    }
}

/// Keeps whole Groups by id.
#[derive(Default)]
struct Whole(BTreeMap<String, Bytes>);

#[async_trait]
impl Take for Whole {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        let group = if line.len() > LONG {
            let broken = |error| PortError::permanent("shortening a group", error);
            without_members(&line).map_err(broken)?.into()
        } else {
            line
        };
        self.0.insert(facts.id, group);
        Ok(())
    }
}
