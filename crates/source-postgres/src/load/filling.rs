//! Decides what a batch comes to: which versions begin and which end.

use std::collections::{BTreeMap, HashMap};

use super::change::Put;
use super::writer::Written;
use crate::range::{BUCKET, FOLLOWS, NOBODY, SOMEBODY};

/// The living version of a resource.
pub(super) struct Living {
    pub(super) row: i64,
    pub(super) owner: i64,
    pub(super) size: i64,
    pub(super) updated: Option<i64>,
    pub(super) digest: Vec<u8>,
}

/// A version on its way into the table.
pub(super) struct NewRow<'a> {
    pub(super) row: i64,
    pub(super) owner: i64,
    pub(super) born_at: i64,
    pub(super) kind: i16,
    pub(super) others: Option<Vec<i64>>,
    pub(super) put: &'a Put,
}

/// Numbers of everyone and everything that a batch names.
pub(super) struct Named {
    pub(super) patients: HashMap<String, i64>,
    pub(super) things: HashMap<(i16, String), i64>,
}

/// A version that ends.
pub(super) struct Death {
    pub(super) id: String,
    pub(super) row: i64,
    pub(super) at: i64,
}

/// More or less of a bucket.
#[derive(Clone, Copy, Default)]
pub(super) struct Difference(pub(super) i64, pub(super) i64);

impl std::ops::AddAssign<(i64, i64)> for Difference {
    fn add_assign(&mut self, (resources, bytes): (i64, i64)) {
        self.0 += resources;
        self.1 += bytes;
    }
}

/// What a batch comes to.
#[derive(Default)]
pub(super) struct Filling<'a> {
    pub(super) written: Written,
    pub(super) volumes: BTreeMap<(i16, i64), Difference>,
    pub(super) deaths: BTreeMap<i16, Vec<Death>>,
    pub(super) rows: Vec<NewRow<'a>>,
}

impl<'a> Filling<'a> {
    /// Deletes a resource, if it is there.
    pub(super) fn delete(&mut self, kind: i16, id: &str, living: Option<&Living>, now: i64) {
        if let Some(living) = living {
            self.written.deleted += 1;
            self.dies(kind, id, living, now);
        } else {
            self.written.absent += 1;
        }
    }

    /// Keeps a version, unless it is there just so, or a later one is.
    pub(super) fn put(
        &mut self,
        kind: i16,
        put: &'a Put,
        living: Option<&Living>,
        (born_at, numbers): (i64, &HashMap<String, i64>),
    ) {
        match living {
            None => self.written.new += 1,
            Some(living) if living.digest == put.digest => {
                self.written.unchanged += 1;
                return;
            }
            Some(living) if put.updated.is_some() && put.updated < living.updated => {
                self.written.outdated += 1;
                return;
            }
            Some(living) => {
                self.written.replaced += 1;
                self.dies(kind, &put.id, living, born_at);
            }
        }
        self.written.bytes += u64::try_from(put.body.len()).unwrap_or(0);
        let patients = put.patients.iter();
        let mut patients: Vec<i64> = patients.filter_map(|id| numbers.get(id).copied()).collect();
        patients.sort_unstable();
        patients.dedup();
        let (owner, others) = whose(put, patients);
        *self.volume(kind, owner) += (1, line_size(put));
        self.rows.push(NewRow {
            row: 0,
            owner,
            born_at,
            kind,
            others,
            put,
        });
    }

    /// In the order in which slices are read.
    pub(super) fn sort(&mut self) {
        self.rows
            .sort_by(|a, b| (a.kind, a.owner, &a.put.id).cmp(&(b.kind, b.owner, &b.put.id)));
    }

    fn volume(&mut self, kind: i16, owner: i64) -> &mut Difference {
        self.volumes.entry((kind, owner >> BUCKET)).or_default()
    }

    fn dies(&mut self, kind: i16, id: &str, living: &Living, at: i64) {
        *self.volume(kind, living.owner) += (-1, -living.size);
        self.deaths.entry(kind).or_default().push(Death {
            id: id.to_owned(),
            row: living.row,
            at,
        });
    }
}

/// The owner of a resource, and who else it lies with.
fn whose(put: &Put, mut patients: Vec<i64>) -> (i64, Option<Vec<i64>>) {
    if put.kind.name() == "Provenance" {
        return (FOLLOWS, None);
    }
    if patients.is_empty() {
        let owner = if put.names_somebody { SOMEBODY } else { NOBODY };
        return (owner, None);
    }
    let owner = patients.remove(0);
    (owner, (!patients.is_empty()).then_some(patients))
}

/// Whether what it refers to is found by way of itself: of nobody's, and of Provenances.
pub(super) fn leads_on(put: &Put) -> bool {
    put.kind.name() == "Provenance" || (put.patients.is_empty() && !put.names_somebody)
}

fn line_size(put: &Put) -> i64 {
    i64::try_from(put.body.len() + 1).unwrap_or(i64::MAX)
}
