//! What a scope takes, as rows of each type that can be counted without looking at them.

use std::ops::Range;

use sluice_fhir::{ResourceType, compartment};
use sluice_model::{Scope, Tally};
use sluice_ports::{PortError, PortKind};

use super::cohort::Cohort;
use super::groups::Group;
use super::lines::UPDATED;
use super::options::SyntheticOptions;

/// The types that are made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Group,
    Observation,
    Patient,
}

impl Kind {
    pub(super) fn of(kind: ResourceType) -> Option<Self> {
        match kind.name() {
            "Group" => Some(Self::Group),
            "Observation" => Some(Self::Observation),
            "Patient" => Some(Self::Patient),
            _ => None,
        }
    }
}

/// A type that a scope takes something of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) name: ResourceType,
    pub(super) kind: Kind,
    /// How many there are; never 0.
    pub(super) rows: u64,
}

/// A scope over the made-up patients.
pub(super) struct View {
    pub(super) options: SyntheticOptions,
    pub(super) cohort: Cohort,
    /// In the order in which they are exported, each type once.
    pub(super) parts: Vec<Part>,
}

impl View {
    pub(super) fn open(options: SyntheticOptions, scope: &Scope) -> Result<Self, PortError> {
        pinned(&options, scope)?;
        let mut view = Self {
            options,
            cohort: Cohort::of(&options, scope)?,
            parts: Vec::new(),
        };
        if scope.admits(Some(UPDATED)) {
            // At other levels a Group would name patients beyond those asked for.
            let is_whole = scope.is_whole();
            let parts = ResourceType::all()
                .filter(|name| scope.types.contains(name))
                .filter(|name| is_whole || compartment::is_exportable(*name))
                .filter_map(|name| view.part(name));
            view.parts = parts.collect();
        }
        Ok(view)
    }

    /// A type, if there is any of it.
    fn part(&self, name: ResourceType) -> Option<Part> {
        let kind = Kind::of(name)?;
        let rows = match kind {
            Kind::Group => u64::try_from(Group::listed(&self.options).len()).unwrap_or(0),
            Kind::Observation => self.cohort.len() * u64::from(self.options.observations),
            Kind::Patient => self.cohort.len(),
        };
        (rows > 0).then_some(Part { name, kind, rows })
    }

    /// Where a run of rows ends that begins here and has about `target` bytes; one row always
    /// fits.
    pub(super) fn cut(&self, part: &Part, from: u64, target: u64) -> u64 {
        if part.kind != Kind::Group {
            let rows = (target / self.options.bytes).max(1);
            return part.rows.min(from.saturating_add(rows));
        }
        let fits = |to: &u64| self.tally(part, &(from..*to)).bytes <= target;
        (from + 2..=part.rows)
            .take_while(fits)
            .last()
            .unwrap_or(from + 1)
    }

    /// How much a run of rows is, exactly.
    pub(super) fn tally(&self, part: &Part, rows: &Range<u64>) -> Tally {
        let resources = rows.end - rows.start;
        let bytes = match part.kind {
            Kind::Group => self.groups(rows).map(|group| group.len() + 1).sum(),
            Kind::Observation | Kind::Patient => resources * self.options.bytes,
        };
        Tally { resources, bytes }
    }

    /// The Groups of some rows.
    pub(super) fn groups(&self, rows: &Range<u64>) -> impl Iterator<Item = Group> + use<> {
        let place = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        let count = place(rows.end - rows.start);
        let listed = Group::listed(&self.options).into_iter();
        listed.skip(place(rows.start)).take(count)
    }
}

/// Refuses a scope that was made with other options: its slices mean other lines.
pub(super) fn pinned(options: &SyntheticOptions, scope: &Scope) -> Result<(), PortError> {
    if scope.snapshot.token == options.token() {
        return Ok(());
    }
    Err(PortError::new(
        PortKind::Permanent,
        "reading made-up patients whose options changed while the export ran (start the export \
         again)",
    ))
}
