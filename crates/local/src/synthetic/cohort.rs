//! Which patients a scope is about: the first so many, or those it names.

use std::sync::Arc;

use sluice_fhir::Level;
use sluice_model::Scope;
use sluice_ports::{PopulationError, PortError, PortKind};

use super::groups::Group;
use super::lines::patient_number;
use super::options::SyntheticOptions;

/// The patients of a scope, in the order of their numbers.
#[derive(Clone, Debug)]
pub(super) enum Cohort {
    /// Those numbered from 1 up to this.
    First(u32),
    /// These.
    Listed(Arc<[u32]>),
}

impl Cohort {
    /// The patients of a scope; names of nobody are passed over, as they were told at the start.
    pub(super) fn of(options: &SyntheticOptions, scope: &Scope) -> Result<Self, PortError> {
        let among = among(options, scope)
            .ok_or_else(|| PortError::new(PortKind::NotFound, "gathering a group"))?;
        let Some(ids) = &scope.patients else {
            return Ok(Self::First(among));
        };
        let mut numbers: Vec<u32> = ids.iter().filter_map(|id| known(id, among)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Self::Listed(numbers.into()))
    }

    /// How many.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::First(count) => u64::from(*count),
            Self::Listed(numbers) => u64::try_from(numbers.len()).unwrap_or(u64::MAX),
        }
    }

    /// The number of the patient at a place; places count from 0.
    pub(super) fn number(&self, place: u64) -> Option<u32> {
        match self {
            Self::First(count) => {
                let number = u32::try_from(place).ok()?.checked_add(1)?;
                (number <= *count).then_some(number)
            }
            Self::Listed(numbers) => numbers.get(usize::try_from(place).ok()?).copied(),
        }
    }
}

/// Checks that the Group and the patients of a scope exist.
pub(super) fn check(options: &SyntheticOptions, scope: &Scope) -> Result<(), PopulationError> {
    let among = among(options, scope).ok_or(PopulationError::UnknownGroup)?;
    let ids = scope.patients.iter().flatten();
    let unknown: Vec<String> = ids
        .filter(|id| known(id, among).is_none())
        .cloned()
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(PopulationError::UnknownPatients(unknown))
    }
}

/// How many patients the level of a scope takes; `None` where there is no such Group.
fn among(options: &SyntheticOptions, scope: &Scope) -> Option<u32> {
    match &scope.level {
        Level::System | Level::Patient => Some(options.patients),
        Level::Group(id) => Group::find(options, id).map(|group| group.members),
    }
}

/// The number of a patient who is among the first so many.
fn known(id: &str, among: u32) -> Option<u32> {
    patient_number(id).filter(|number| (1..=among).contains(number))
}
