//! Cuts a scope into slices: some patients and all that is theirs; a type that is read whole; and at the
//! end, what those refer to.

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_model::{PlannedChunk, Scope, Slice, Tally, Work};
use sluice_ports::{PlanStep, PortError, foreign};

use crate::cohort::Cohort;
use crate::enumerate::Place;
use crate::offer::Way;
use crate::upstream::{Query, Upstream};

/// Bytes that a patient is taken for while nobody knows.
const OF_A_PATIENT: u64 = 1 << 20;
/// Bytes that a resource is taken for.
const OF_A_RESOURCE: u64 = 1 << 10;

/// The range of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Range {
    /// The compartments of these patients, and a stamp of the cohort that they are part of.
    Of(Vec<String>, String),
    /// A type from one end to the other.
    Scan,
    /// What the others refer to.
    Wave,
}

impl Range {
    pub(crate) fn read(slice: &Slice) -> Result<Self, PortError> {
        serde_json::from_str(&slice.range).map_err(|_| foreign("range"))
    }

    fn slice(&self, types: Vec<ResourceType>) -> Result<Slice, PortError> {
        let range = serde_json::to_string(self).map_err(|_| foreign("range"))?;
        Ok(Slice {
            types,
            range,
            deleted: false,
        })
    }
}

/// Where planning stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cursor {
    /// Among the patients.
    At(Place),
    /// Among what comes after them, by number.
    After(usize),
}

/// The types of a scope that there can be.
pub(crate) fn wanted(upstream: &Upstream, scope: &Scope) -> Vec<ResourceType> {
    let mut types = scope.exportable();
    types.retain(|kind| upstream.offer.has(*kind));
    types
}

/// What a scope comes to.
struct Parts {
    /// Types that are read by patient.
    searched: Vec<ResourceType>,
    /// Slices after those of the patients: types, and how they are read.
    after: Vec<(Vec<ResourceType>, Range)>,
}

fn parts(upstream: &Upstream, scope: &Scope) -> Parts {
    let wanted = wanted(upstream, scope);
    let whole = scope.is_whole();
    let (mut searched, mut after) = (Vec::new(), Vec::new());
    for kind in &wanted {
        let way = upstream
            .offer
            .way(*kind, upstream.http.options.unsearchable);
        match way {
            _ if whole && upstream.offer.can_search(*kind) => {
                after.push((vec![*kind], Range::Scan));
            }
            _ if whole => {}
            Some(Way::ByPatient(_)) => searched.push(*kind),
            Some(Way::Scan) => after.push((vec![*kind], Range::Scan)),
            None => {}
        }
    }
    // Read last, since it follows what it is about.
    searched.sort_by_key(|kind: &ResourceType| (kind.name() == "Provenance", *kind));
    // A Patient is always somebody's.
    let others = wanted
        .into_iter()
        .filter(|kind| *kind != ResourceType::PATIENT);
    let mut others: Vec<ResourceType> = others.collect();
    others.sort_unstable();
    if !whole && !others.is_empty() {
        after.push((others, Range::Wave));
    }
    Parts { searched, after }
}

impl Upstream {
    /// The next chunks of a plan.
    pub(crate) async fn plan(
        &self,
        (scope, cohort): (&Scope, &Cohort),
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        let parts = parts(self, scope);
        let mut next = match cursor {
            Some(text) => serde_json::from_str(text).map_err(|_| foreign("cursor"))?,
            None if parts.searched.is_empty() => Cursor::After(0),
            None => Cursor::At(Place::default()),
        };
        let mut chunks = Vec::new();
        let most = usize::try_from(target / OF_A_PATIENT).unwrap_or(usize::MAX);
        let most = most.clamp(1, self.http.options.patients_per_chunk.max(1));
        while chunks.len() < limit {
            match next {
                Cursor::At(place) => {
                    let some = self.patients(cohort, place, most).await?;
                    if !some.patients.is_empty() {
                        let expected = guess(some.patients.len());
                        let range = Range::Of(some.patients, cohort.stamp.clone());
                        let slice = range.slice(parts.searched.clone())?;
                        chunks.push(PlannedChunk {
                            work: Work::Read,
                            slice,
                            expected,
                        });
                    }
                    next = some.next.map_or(Cursor::After(0), Cursor::At);
                }
                Cursor::After(number) => {
                    let Some((types, range)) = parts.after.get(number) else {
                        break;
                    };
                    chunks.push(PlannedChunk {
                        work: Work::Read,
                        slice: range.slice(types.clone())?,
                        expected: self.expected(types, range).await?,
                    });
                    next = Cursor::After(number + 1);
                }
            }
        }
        let is_over = matches!(next, Cursor::After(number) if number >= parts.after.len());
        let next = serde_json::to_string(&next).map_err(|_| foreign("cursor"))?;
        Ok(PlanStep {
            chunks,
            next: (!is_over).then_some(next),
        })
    }

    /// What the server counts; where it does not, at least something.
    async fn expected(&self, types: &[ResourceType], range: &Range) -> Result<Tally, PortError> {
        let (Range::Scan, [kind]) = (range, types) else {
            return Ok(guess(1));
        };
        let counted = self.count(&Query::new(*kind)).await;
        let counted = counted.map_err(|failure| failure.during(self.action(*kind)))?;
        let resources = counted.unwrap_or(1);
        Ok(Tally {
            resources,
            bytes: resources * OF_A_RESOURCE,
        })
    }
}

/// For progress only: nobody knows how much a patient has.
fn guess(patients: usize) -> Tally {
    let patients = u64::try_from(patients).unwrap_or(0);
    Tally {
        resources: patients,
        bytes: patients * OF_A_RESOURCE,
    }
}
