//! Searches Groups. The server finds what may match, as far as it can; what matches is decided here, the
//! same for every server.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use sluice_fhir::ResourceType;
use sluice_fhir::facts::{Facts, GroupFacts};
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
        let query = self.query;
        let by_id = query.ids.is_empty() || query.ids.contains(&facts.id);
        if by_id && names(group, &query.names) && identifiers(group, &query.identifiers) {
            self.ids.push(facts.id);
        }
        Ok(())
    }
}

fn names(group: &GroupFacts, names: &[String]) -> bool {
    let name = group.name.to_lowercase();
    let mut starts = names.iter().map(|start| start.to_lowercase());
    names.is_empty() || starts.any(|start| name.starts_with(&start))
}

fn identifiers(group: &GroupFacts, tokens: &[String]) -> bool {
    let has = |token: &String| {
        let (system, value) = match token.split_once('|') {
            Some((system, value)) => (Some(system), value),
            None => (None, token.as_str()),
        };
        group.identifiers.iter().any(|(of, is)| {
            system.is_none_or(|system| system == of) && (value.is_empty() || value == is)
        })
    };
    tokens.is_empty() || tokens.iter().any(has)
}

/// Keeps whole Groups by id.
#[derive(Default)]
struct Whole(BTreeMap<String, Bytes>);

#[async_trait]
impl Take for Whole {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        let group = if line.len() > LONG {
            without_members(&line)?
        } else {
            line
        };
        self.0.insert(facts.id, group);
        Ok(())
    }
}

/// A long Group with everything but its members, and the tag that says so.
fn without_members(line: &[u8]) -> Result<Bytes, PortError> {
    let broken = |error| PortError::permanent("shortening a group", error);
    let Shortened(mut group) = serde_json::from_slice(line).map_err(broken)?;
    let tag = serde_json::json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "SUBSETTED",
    });
    let meta = group.entry("meta").or_insert_with(|| serde_json::json!({}));
    if let Some(meta) = meta.as_object_mut() {
        let tags = meta.entry("tag").or_insert_with(|| serde_json::json!([]));
        if let Some(tags) = tags.as_array_mut() {
            tags.push(tag);
        }
    }
    let short = serde_json::to_vec(&group).map_err(broken)?;
    Ok(short.into())
}

/// A Group whose members are passed over while it is read.
struct Shortened(serde_json::Map<String, serde_json::Value>);

impl<'de> Deserialize<'de> for Shortened {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Shortener).map(Self)
    }
}

struct Shortener;

impl<'de> Visitor<'de> for Shortener {
    type Value = serde_json::Map<String, serde_json::Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a Group")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut group = serde_json::Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "member" {
                map.next_value::<IgnoredAny>()?;
            } else {
                group.insert(key, map.next_value()?);
            }
        }
        Ok(group)
    }
}
