//! What a line of input asks for: a resource to be kept, or one to be deleted. Reading it is work for a
//! processor, not for the database.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sluice_fhir::facts::{GroupFacts, Reason, Target, scan};
use sluice_fhir::{Reference, ResourceType, compact};

/// A change to the database.
#[derive(Debug)]
pub(crate) enum Change {
    /// Keep this version.
    Put(Box<Put>),
    /// Delete the resource.
    Delete(ResourceType, String),
}

/// A version to keep.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) kind: ResourceType,
    pub(crate) id: String,
    /// `meta.lastUpdated` in nanoseconds.
    pub(crate) updated: Option<i64>,
    /// Of the body.
    pub(crate) digest: [u8; 16],
    /// Ids of the patients in whose compartments it lies.
    pub(crate) patients: Vec<String>,
    pub(crate) names_somebody: bool,
    pub(crate) references: Vec<Target>,
    pub(crate) subjects: Vec<Target>,
    pub(crate) group: Option<Box<GroupFacts>>,
    pub(crate) body: Bytes,
}

impl Change {
    /// What it is about.
    pub(crate) fn key(&self) -> (ResourceType, &str) {
        match self {
            Self::Put(put) => (put.kind, &put.id),
            Self::Delete(kind, id) => (*kind, id),
        }
    }
}

/// Why a line or an entry was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It holds no resource that can be exported.
    #[error("{0}")]
    Line(Reason),
    /// The Bundle cannot be read.
    #[error("not a Bundle that can be read")]
    Bundle,
    /// An entry of a Bundle that can be loaded has a resource, or deletes one.
    #[error("an entry without a resource, or with a method other than PUT, POST and DELETE")]
    Entry,
    /// A line of references has `Type/id` and no more.
    #[error("not a reference such as Patient/123")]
    Reference,
}

/// Reads a line: a resource, or a Bundle of them.
pub(crate) fn read(line: &Bytes, to: &mut Vec<Change>, rejected: &mut impl FnMut(Rejected)) {
    match put(line) {
        Ok(put) => to.push(Change::Put(Box::new(put))),
        Err(Reason::Container) => {
            if bundle(line, to, rejected).is_none() {
                rejected(Rejected::Bundle);
            }
        }
        Err(reason) => rejected(Rejected::Line(reason)),
    }
}

/// Reads a line of a file of references to delete; a Bundle of deletions is one too.
pub(crate) fn read_reference(
    line: &Bytes,
    to: &mut Vec<Change>,
    rejected: &mut impl FnMut(Rejected),
) {
    if line.first() == Some(&b'{') {
        return read(line, to, rejected);
    }
    let text = std::str::from_utf8(line).ok();
    match text.and_then(|text| reference(text.trim())) {
        Some((kind, id)) => to.push(Change::Delete(kind, id)),
        None => rejected(Rejected::Reference),
    }
}

fn reference(text: &str) -> Option<(ResourceType, String)> {
    let found = Reference::parse(text)?;
    let is_exportable = found.resource_type.is_exportable();
    is_exportable.then(|| (found.resource_type, found.id.to_owned()))
}

fn put(line: &Bytes) -> Result<Put, Reason> {
    let facts = scan(line)?;
    let mut digest = [0; 16];
    let hash = Sha256::digest(line);
    digest.copy_from_slice(&hash[..16]);
    let patients = if facts.kind == ResourceType::PATIENT {
        vec![facts.id.clone()]
    } else {
        facts.patients.into_iter().map(|target| target.id).collect()
    };
    Ok(Put {
        kind: facts.kind,
        id: facts.id,
        updated: facts.updated.map(sluice_fhir::Instant::nanos),
        digest,
        patients,
        names_somebody: facts.names_somebody,
        references: facts.references,
        subjects: facts.subjects,
        group: facts.group,
        body: line.clone(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    resource_type: String,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    request: Option<Request>,
    search: Option<Search>,
}

#[derive(Deserialize)]
struct Request {
    method: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Search {
    mode: Option<String>,
}

fn bundle(line: &Bytes, to: &mut Vec<Change>, rejected: &mut impl FnMut(Rejected)) -> Option<()> {
    let bundle: Bundle<'_> = serde_json::from_slice(line).ok()?;
    if bundle.resource_type != "Bundle" {
        return None;
    }
    for entry in bundle.entry {
        let request = entry.request.as_ref();
        let method = request.and_then(|request| request.method.as_deref());
        let is_outcome = entry
            .search
            .is_some_and(|search| search.mode.as_deref() == Some("outcome"));
        match (method, entry.resource) {
            _ if is_outcome => {}
            (Some("DELETE"), _) => {
                let url = request.and_then(|request| request.url.as_deref());
                match url.and_then(reference) {
                    Some((kind, id)) => to.push(Change::Delete(kind, id)),
                    None => rejected(Rejected::Entry),
                }
            }
            (None | Some("PUT" | "POST"), Some(resource)) => {
                let body = Bytes::from(compact(resource.get().as_bytes()).into_owned());
                match put(&body) {
                    Ok(put) => to.push(Change::Put(Box::new(put))),
                    Err(reason) => rejected(Rejected::Line(reason)),
                }
            }
            _ => rejected(Rejected::Entry),
        }
    }
    Some(())
}

/// Keeps of several changes to one resource the one that counts: the last, unless it says itself that it
/// is older. Gives how many gave way.
pub(crate) fn settle(changes: Vec<Change>) -> (Vec<Change>, u64) {
    let mut at: HashMap<(ResourceType, String), usize> = HashMap::with_capacity(changes.len());
    let mut kept: Vec<Change> = Vec::with_capacity(changes.len());
    let mut gave_way = 0;
    for change in changes {
        let (kind, id) = change.key();
        let Some(place) = at.get(&(kind, id.to_owned())).copied() else {
            at.insert((kind, id.to_owned()), kept.len());
            kept.push(change);
            continue;
        };
        gave_way += 1;
        let is_older = match (&kept[place], &change) {
            (Change::Put(kept), Change::Put(new)) => {
                new.updated.is_some() && new.updated < kept.updated
            }
            _ => false,
        };
        if !is_older {
            kept[place] = change;
        }
    }
    (kept, gave_way)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(line: &str) -> (Vec<Change>, Vec<Rejected>) {
        let (mut changes, mut rejected) = (Vec::new(), Vec::new());
        read(&Bytes::from(line.to_owned()), &mut changes, &mut |one| {
            rejected.push(one);
        });
        (changes, rejected)
    }

    #[test]
    fn bundles_are_unpacked_and_their_deletions_honoured() {
        let (changes, rejected) = changes(
            r#"{"resourceType":"Bundle","type":"transaction","entry":[
              {"resource":{"resourceType": "Patient", "id": "a b"},"request":{"method":"PUT"}},
              {"resource":{"resourceType": "Patient", "id": "p", "name": [{"text": "a \" b"}]}},
              {"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}},
              {"request":{"method":"DELETE","url":"Observation/o"}},
              {"request":{"method":"GET","url":"Observation/o"}}]}"#,
        );
        assert_eq!(changes.len(), 2);
        let Change::Put(put) = &changes[0] else {
            panic!("a resource first")
        };
        assert_eq!(
            put.body,
            r#"{"resourceType":"Patient","id":"p","name":[{"text":"a \" b"}]}"#
        );
        assert_eq!(put.patients, ["p"]);
        assert!(matches!(&changes[1], Change::Delete(_, id) if id == "o"));
        assert_eq!(rejected, [Rejected::Line(Reason::BadId), Rejected::Entry]);
    }

    #[test]
    fn references_to_delete_are_read_plain_or_bundled() {
        let (mut changes, mut rejected) = (Vec::new(), Vec::new());
        for line in [
            "Patient/1",
            " Observation/a-b\r",
            "Patient",
            "Binary/1",
            r#"{"resourceType":"Bundle","entry":[{"request":{"method":"DELETE","url":"Patient/2"}}]}"#,
        ] {
            let line = Bytes::from(line);
            read_reference(&line, &mut changes, &mut |one| rejected.push(one));
        }
        assert_eq!((changes.len(), rejected.len()), (3, 2));
    }

    #[test]
    fn the_last_change_counts_unless_it_says_it_is_older() {
        let line = |updated: &str| {
            format!(r#"{{"resourceType":"Patient","id":"p","meta":{{"lastUpdated":"{updated}"}}}}"#)
        };
        let mut all = changes(&line("2026-02-01T00:00:00Z")).0;
        all.extend(changes(&line("2026-01-01T00:00:00Z")).0);
        let (kept, gave_way) = settle(all);
        assert_eq!((kept.len(), gave_way), (1, 1));
        let Change::Put(put) = &kept[0] else {
            panic!("a resource")
        };
        assert!(put.body.ends_with(b"2026-02-01T00:00:00Z\"}}"));
    }
}
