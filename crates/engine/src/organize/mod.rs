//! Exports whose files hold a block for each Patient: a header, the Patient, and what is in the Patient's
//! compartment (`organizeOutputBy`, R-192 to R-197).
//!
//! Such a job is cut by its Patients. Whoever has a chunk of them asks the source about each one's compartment, so
//! what belongs to two patients is in the blocks of both, and what belongs to none is in no block.

mod block;
mod head;

pub(crate) use block::OpenBlock;
pub(crate) use head::{Head, heads};

use std::borrow::Cow;

use sluice_fhir::{Level, ResourceType, compartment};
use sluice_model::{JobRecord, Scope, Selection, Work};

use crate::associated;
use crate::parts::{Cuts, Part};

const PATIENT: ResourceType = ResourceType::PATIENT;
/// How much smaller than all that belongs to a patient the Patient is taken to be.
const SHARE: u64 = 256;
/// The fewest bytes of Patients that a chunk aims at: about 30 of them.
const FEWEST: u64 = 64 << 10;
/// The most: each of them is asked about by itself, and a chunk must end well within a worker's time.
const MOST: u64 = 256 << 10;

/// The parts of a job that is organized by its Patients; `None` of any other.
pub(crate) fn parts(record: &JobRecord, target: u64) -> Option<Vec<Part<'_>>> {
    record.form.organize?;
    // Who heads the blocks is everyone whose data may have changed, whether the Patient did or not.
    let patients = Part {
        scope: Cow::Owned(Scope {
            // All Patients are those of this level, and sources cut these finer.
            level: match &record.scope.level {
                Level::System => Level::Patient,
                level => level.clone(),
            },
            types: vec![PATIENT],
            since: None,
            until: None,
            selection: Selection::default(),
            ..record.scope.clone()
        }),
        cuts: Cuts::Data,
        work: Work::Organize,
        target: (target / SHARE).clamp(FEWEST, MOST).min(target),
        waits: false,
    };
    let mut parts = vec![patients];
    if record.scope.since.is_some() {
        parts.push(Part {
            scope: associated::asked_for(&record.scope),
            cuts: Cuts::Deletions,
            work: Work::Read,
            target,
            waits: false,
        });
    }
    Some(parts)
}

/// What is read of each patient of a job, but for whose it is. The Patient is among it only where the source alone
/// can say whether it is of the export: where that depends on when it changed.
pub(crate) fn compartment_of(record: &JobRecord) -> Scope {
    let scope = &record.scope;
    let by_time = scope.since.is_some() || scope.until.is_some();
    // Provenances that come along are read when all else of a block is known.
    let comes_along =
        |kind: ResourceType| kind == ResourceType::PROVENANCE && associated::is_due(record);
    let types = scope.types.iter().copied().filter(|kind| {
        compartment::contains(*kind)
            && compartment::is_exportable(*kind)
            && (*kind != PATIENT || by_time)
            && !comes_along(*kind)
    });
    Scope {
        level: Level::Patient,
        types: types.collect(),
        since: scope.since,
        until: scope.until,
        patients: None,
        selection: Selection {
            associated: None,
            ..scope.selection.clone()
        },
        snapshot: scope.snapshot.clone(),
    }
}

/// Under which the Provenances of each patient are read, but for whose they are, if any come along.
pub(crate) fn provenances_of(record: &JobRecord) -> Option<Scope> {
    associated::is_due(record).then(|| Scope {
        level: Level::Patient,
        patients: None,
        ..associated::provenances_of(&record.scope)
    })
}
