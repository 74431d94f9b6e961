//! Notes that chunks leave for the match: of what was exported, and of what Provenances are about.
//!
//! Both are records in the order of their hashes, behind a table of where each of [`BUCKETS`] begins, so that a
//! match reads its share of them by two ranges.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sluice_fhir::facts::{ProvenanceFacts, Target};
use sluice_fhir::{Instant, ResourceType};

use super::BUCKETS;

/// Bytes of a table of so many places: one number of four bytes before each of them, and one behind the last.
pub(super) const fn table(places: u32) -> u64 {
    4 * (places as u64 + 1)
}

/// Bytes that an id is known by.
const ID: usize = 14;

/// The type that is not known.
const ANY: u16 = u16::MAX;

/// A resource: what its id comes to, and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    pub(super) id: [u8; ID],
    kind: u16,
}

/// That a Provenance is about a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct About {
    pub(super) resource: Resource,
    /// How new the Provenance is: by `recorded`, then by when it was changed, then by what its id comes to.
    pub(super) recorded: i64,
    pub(super) updated: i64,
    pub(super) provenance: u64,
}

/// What is written one behind the other.
pub(super) trait Record: Copy + Ord {
    const BYTES: usize;
    fn bucket(&self) -> u32;
    fn write(&self, bytes: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Resource {
    pub(super) fn new(kind: ResourceType, id: &str) -> Self {
        Self {
            id: hash(id),
            kind: kind.number(),
        }
    }

    fn of(target: &Target) -> Self {
        Self {
            id: hash(&target.id),
            kind: target.kind.map_or(ANY, ResourceType::number),
        }
    }

    /// Whether a Provenance about that is about this.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.id == other.id && (other.kind == ANY || self.kind == other.kind)
    }
}

/// What the id of a Provenance comes to.
pub(super) fn provenance(id: &str) -> u64 {
    u64::from_le_bytes(hash(id))
}

fn hash<const N: usize>(id: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&Sha256::digest(id)[..N]);
    bytes
}

impl About {
    pub(super) fn all(facts: &ProvenanceFacts) -> impl Iterator<Item = Self> {
        let nanos = |time: Option<Instant>| time.map_or(i64::MIN, Instant::nanos);
        facts.targets.iter().map(move |target| Self {
            resource: Resource::of(target),
            recorded: nanos(facts.recorded),
            updated: nanos(facts.updated),
            provenance: provenance(&facts.id),
        })
    }

    /// What tells the newer of two.
    pub(super) fn age(&self) -> (i64, i64, u64) {
        (self.recorded, self.updated, self.provenance)
    }
}

impl Record for Resource {
    const BYTES: usize = ID + 2;

    fn bucket(&self) -> u32 {
        (u32::from(self.id[0]) << 4) | (u32::from(self.id[1]) >> 4)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.kind.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (id, kind) = bytes.split_first_chunk()?;
        Some(Self {
            id: *id,
            kind: u16::from_le_bytes(*kind.first_chunk()?),
        })
    }
}

impl Record for About {
    const BYTES: usize = Resource::BYTES + 24;

    fn bucket(&self) -> u32 {
        self.resource.bucket()
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        self.resource.write(bytes);
        bytes.extend_from_slice(&self.recorded.to_le_bytes());
        bytes.extend_from_slice(&self.updated.to_le_bytes());
        bytes.extend_from_slice(&self.provenance.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (resource, rest) = bytes.split_at_checked(Resource::BYTES)?;
        let (recorded, rest) = rest.split_first_chunk()?;
        let (updated, rest) = rest.split_first_chunk()?;
        Some(Self {
            resource: Resource::read(resource)?,
            recorded: i64::from_le_bytes(*recorded),
            updated: i64::from_le_bytes(*updated),
            provenance: u64::from_le_bytes(*rest.first_chunk()?),
        })
    }
}

/// All of them in order, behind the table of where each bucket begins.
pub(super) fn sorted<R: Record>(mut records: Vec<R>) -> Bytes {
    records.sort_unstable();
    let places = records.iter().map(Record::bucket);
    let mut bytes = begin(BUCKETS, places);
    bytes.reserve(records.len() * R::BYTES);
    for record in &records {
        record.write(&mut bytes);
    }
    bytes.into()
}

/// A table, for things in order of their places.
pub(super) fn begin(places: u32, of: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut place, mut count) = (0, 0_u32);
    for next in of {
        while place <= next {
            bytes.extend_from_slice(&count.to_le_bytes());
            place += 1;
        }
        count += 1;
    }
    while place <= places {
        bytes.extend_from_slice(&count.to_le_bytes());
        place += 1;
    }
    bytes
}

/// The records in some bytes; none are lost at their end, for nobody writes half a one.
pub(super) fn records<R: Record>(bytes: &[u8]) -> impl Iterator<Item = R> {
    bytes.chunks_exact(R::BYTES).filter_map(R::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8], place: usize) -> usize {
        let bytes = bytes[place * 4..place * 4 + 4].try_into().unwrap();
        usize::try_from(u32::from_le_bytes(bytes)).unwrap()
    }

    #[test]
    fn records_are_found_by_their_buckets() {
        let resources = (0..5_000).map(|n| Resource::new(ResourceType::PATIENT, &n.to_string()));
        let resources: Vec<Resource> = resources.collect();
        let bytes = sorted(resources.clone());
        let head = usize::try_from(table(BUCKETS)).unwrap();
        let mut found = Vec::new();
        for bucket in 0..usize::try_from(BUCKETS).unwrap() {
            let (from, to) = (number(&bytes, bucket), number(&bytes, bucket + 1));
            let range = head + from * Resource::BYTES..head + to * Resource::BYTES;
            let some: Vec<Resource> = records(&bytes[range]).collect();
            assert!(
                some.iter()
                    .all(|one| usize::try_from(one.bucket()).unwrap() == bucket)
            );
            found.extend(some);
        }
        let mut resources = resources;
        resources.sort_unstable();
        assert_eq!(found, resources);
    }

    #[test]
    fn nothing_is_a_table_of_noughts() {
        let bytes = sorted::<About>(Vec::new());
        assert_eq!(u64::try_from(bytes.len()).unwrap(), table(BUCKETS));
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_record_reads_back() {
        let facts = ProvenanceFacts {
            id: "p".to_owned(),
            recorded: Some(Instant::from_millis(-5)),
            updated: None,
            targets: vec![Target {
                kind: None,
                id: "o".to_owned(),
            }],
        };
        let about: Vec<About> = About::all(&facts).collect();
        let mut bytes = Vec::new();
        about[0].write(&mut bytes);
        assert_eq!(bytes.len(), About::BYTES);
        assert_eq!(About::read(&bytes), Some(about[0]));
        assert_eq!(
            (about[0].recorded, about[0].updated),
            (-5_000_000, i64::MIN)
        );
        let resource = Resource::new(ResourceType::GROUP, "o");
        assert!(
            resource.is(&about[0].resource),
            "a type that is not known is any"
        );
        assert!(!resource.is(&Resource::new(ResourceType::PATIENT, "o")));
    }
}
