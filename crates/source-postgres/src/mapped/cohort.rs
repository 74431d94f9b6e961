//! Which patients an export is about, and in which parts their data are read.

use std::sync::Arc;

use sluice_fhir::{Level, ResourceType};
use sluice_model::Scope;
use sluice_ports::{PopulationError, PortError, PortKind};
use tokio_postgres::types::Type;

use super::members::{Members, members};
use super::part::{Part, Span};
use super::relation::{Relation, is_directory};
use crate::failure::failed;
use crate::pool::Session;
use crate::range::ids;

/// Patients whose ids one statement carries.
const PAGE: usize = 20_000;

/// The population of an export.
#[derive(Clone, Debug)]
pub(super) enum Cohort {
    /// Everything there is, whosever.
    Whole,
    /// Every Patient.
    Everyone,
    /// These, if they exist; sorted.
    Named(Arc<[String]>),
}

impl Cohort {
    /// Of a scope, as Groups are now. A Group that is gone ends the export: nobody knows whose data it
    /// was about.
    pub(super) async fn of(
        session: &Session,
        relation: &Relation,
        scope: &Scope,
    ) -> Result<Self, PortError> {
        match gather(session, relation, scope).await? {
            Some((cohort, _)) => Ok(cohort),
            None => Err(PortError::new(
                PortKind::Permanent,
                "gathering patients: the group is gone, or not active any more",
            )),
        }
    }

    /// Whether it names a patient.
    pub(super) fn has(&self, patient: &str) -> bool {
        let Self::Named(patients) = self else {
            return false;
        };
        patients
            .binary_search_by(|one| one.as_str().cmp(patient))
            .is_ok()
    }

    /// Whether it names one of some patients, a line each.
    pub(super) fn has_any(&self, lines: &[u8]) -> bool {
        let lines = std::str::from_utf8(lines).unwrap_or_default();
        lines.split('\n').any(|patient| self.has(patient))
    }

    /// Whether it has what is nobody's of a type.
    pub(super) fn has_nobodys(&self, kind: ResourceType) -> bool {
        matches!(self, Self::Whole) || is_directory(kind)
    }

    /// The parts of a span of a type, in the order of their keys.
    pub(super) fn parts<'a>(&'a self, kind: ResourceType, span: &Span) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        if span.touches_nobody() && self.has_nobodys(kind) {
            parts.push(Part::Nobodys);
        }
        if span.touches_patients() {
            match self {
                Self::Whole => parts.push(Part::Anyones),
                Self::Everyone => parts.push(Part::Everyones),
                Self::Named(patients) => {
                    parts.extend(span.among(patients).chunks(PAGE).map(Part::Theirs));
                }
            }
        }
        parts
    }

    /// The ids of a named population, as many at a time as a statement carries.
    pub(super) fn pages(&self) -> impl Iterator<Item = &[String]> {
        let patients: &[String] = match self {
            Self::Named(patients) => patients,
            _ => &[],
        };
        patients.chunks(PAGE)
    }
}

/// The population of a scope, and who its Group names; nothing if there is no such Group.
pub(super) async fn gather(
    session: &Session,
    relation: &Relation,
    scope: &Scope,
) -> Result<Option<(Cohort, Members)>, PortError> {
    let asked = scope.patients.as_ref().map(|patients| {
        let mut patients = patients.clone();
        patients.sort_unstable();
        patients.dedup();
        patients
    });
    let Level::Group(id) = &scope.level else {
        let cohort = match asked {
            Some(asked) => Cohort::Named(asked.into()),
            None if scope.level == Level::System => Cohort::Whole,
            None => Cohort::Everyone,
        };
        return Ok(Some((cohort, Members::default())));
    };
    let Some(mut members) = members(session, relation, id, scope.snapshot.time).await? else {
        return Ok(None);
    };
    let patients = match asked {
        Some(mut asked) => {
            asked.retain(|id| members.patients.binary_search(id).is_ok());
            asked
        }
        None => std::mem::take(&mut members.patients),
    };
    Ok(Some((Cohort::Named(patients.into()), members)))
}

/// Checks that the Group and the patients exist.
pub(super) async fn check(
    session: &Session,
    relation: &Relation,
    scope: &Scope,
) -> Result<(), PopulationError> {
    let Some((cohort, _)) = gather(session, relation, scope).await? else {
        return Err(PopulationError::UnknownGroup);
    };
    let Some(asked) = &scope.patients else {
        return Ok(());
    };
    let mut found = Vec::new();
    for page in cohort.pages() {
        found.extend(existing(session, relation, page).await?);
    }
    found.sort_unstable();
    let is_unknown = |id: &&String| found.binary_search(id).is_err();
    let unknown: Vec<String> = asked.iter().filter(is_unknown).cloned().collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(PopulationError::UnknownPatients(unknown))
    }
}

/// Which of some patients exist.
pub(super) async fn existing(
    session: &Session,
    relation: &Relation,
    page: &[String],
) -> Result<Vec<String>, PortError> {
    let sql = format!(
        "SELECT DISTINCT {} FROM {} WHERE {} AND v.{} = ANY({}) AND {}",
        relation.id("v"),
        relation.named("v"),
        relation.is_a("v", ResourceType::PATIENT),
        relation.id,
        ids(page),
        relation.lives("v"),
    );
    let none: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 0] = [];
    let rows = session.query_typed(&sql, &none).await;
    let rows = rows.map_err(failed("looking for patients"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
