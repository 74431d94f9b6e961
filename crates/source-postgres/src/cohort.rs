//! Which patients an export is about, and whether somebody is among them.

use sluice_fhir::{Level, ResourceType};
use sluice_model::Scope;
use sluice_ports::{PopulationError, PortError};
use tokio_postgres::types::Type;

use crate::kinds::Kinds;
use crate::pool::{Connections, Purpose};
use crate::range::{ids, quoted};
use crate::view::View;

/// The population of an export.
#[derive(Clone, Debug)]
pub(crate) enum Cohort {
    /// Everything there is, whosever.
    Whole,
    /// Every Patient.
    Everyone,
    /// Those that a query gives, as numbers.
    Bounded(String),
}

impl Cohort {
    /// Of a scope.
    pub(crate) fn of(scope: &Scope, view: &View, kinds: &Kinds) -> Self {
        let patient = kinds.code(ResourceType::PATIENT);
        let named = scope.patients.as_ref().map(|patients| {
            format!(
                "SELECT n.ordinal AS patient FROM sluice.patient n WHERE n.id = ANY({})",
                ids(patients)
            )
        });
        let members = match &scope.level {
            Level::Group(id) => Some(members(id, view, kinds.code(ResourceType::GROUP))),
            Level::System if named.is_none() => return Self::Whole,
            Level::Patient | Level::System => None,
        };
        let asked = match (named, members) {
            (None, None) => return Self::Everyone,
            (Some(named), None) => named,
            (None, Some(members)) => members,
            (Some(named), Some(members)) => format!("{named} INTERSECT ({members})"),
        };
        let lives = view.lives("p");
        // Of those who exist: what names others is nobody's to give.
        Self::Bounded(format!(
            "SELECT c.patient FROM ({asked}) c WHERE EXISTS (SELECT 1 FROM sluice.resource p \
             WHERE p.kind = {patient} AND p.owner = c.patient AND {lives})"
        ))
    }

    /// That an owner is in it.
    pub(crate) fn holds(&self, owner: &str, view: &View, kinds: &Kinds) -> String {
        match self {
            Self::Whole => "TRUE".to_owned(),
            Self::Everyone => {
                let (patient, lives) = (kinds.code(ResourceType::PATIENT), view.lives("h"));
                format!(
                    "EXISTS (SELECT 1 FROM sluice.resource h WHERE h.kind = {patient} \
                     AND h.owner = {owner} AND {lives})"
                )
            }
            Self::Bounded(query) => format!("{owner} IN ({query})"),
        }
    }
}

/// The patients of a Group at T as a query; Groups may be members of Groups.
pub(crate) fn members(id: &str, view: &View, kind: i16) -> String {
    let (id, lives, time) = (quoted(id), view.lives("g"), view.time());
    let version = |group: &str| {
        format!(
            "SELECT q.row FROM sluice.grouping q JOIN sluice.resource g ON g.row = q.row \
             AND g.id = q.id AND g.kind = {kind} WHERE q.id = {group} AND q.active AND {lives}"
        )
    };
    let (first, next) = (version(&id), version("m.member_group"));
    format!(
        "WITH RECURSIVE groups (row) AS ({first} UNION \
         SELECT n.row FROM groups JOIN sluice.member m ON m.row = groups.row \
         AND m.member_group IS NOT NULL AND {time} BETWEEN m.starts AND m.ends, \
         LATERAL ({next}) n) \
         SELECT DISTINCT m.patient FROM groups JOIN sluice.member m ON m.row = groups.row \
         WHERE m.patient IS NOT NULL AND {time} BETWEEN m.starts AND m.ends"
    )
}

/// Checks that the Group and the patients exist.
pub(crate) async fn check(
    connections: &Connections,
    scope: &Scope,
    view: &View,
    kinds: &Kinds,
) -> Result<(), PopulationError> {
    if let Level::Group(id) = &scope.level {
        let lives = view.lives("g");
        let found = connections
            .ask(
                (Purpose::Ask, "looking for a group"),
                &format!(
                    "SELECT 1 FROM sluice.grouping q JOIN sluice.resource g \
                     ON g.row = q.row AND g.id = q.id AND g.kind = {} \
                     WHERE q.id = $1 AND q.active AND {lives}",
                    kinds.code(ResourceType::GROUP)
                ),
                &[(id, Type::TEXT)],
            )
            .await?;
        if found.is_empty() {
            return Err(PopulationError::UnknownGroup);
        }
    }
    let (Some(asked), Cohort::Bounded(query)) = (&scope.patients, Cohort::of(scope, view, kinds))
    else {
        return Ok(());
    };
    let rows = connections
        .ask(
            (Purpose::Ask, "looking for patients"),
            &format!(
                "SELECT n.id FROM sluice.patient n WHERE n.ordinal IN ({query}) ORDER BY n.id"
            ),
            &[],
        )
        .await?;
    let found: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let unknown: Vec<String> = asked
        .iter()
        .filter(|id| found.binary_search(&id.as_str()).is_err())
        .cloned()
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(PopulationError::UnknownPatients(unknown))
    }
}

/// The next patients of a bounded cohort from one number on, below another, in order.
pub(crate) async fn page(
    connections: &Connections,
    query: &str,
    (from, below): (i64, i64),
    limit: i64,
) -> Result<Vec<i64>, PortError> {
    let rows = connections
        .ask(
            (Purpose::Ask, "gathering patients"),
            &format!(
                "SELECT c.patient FROM ({query}) c WHERE c.patient >= $1 AND c.patient < $2 \
                 ORDER BY c.patient LIMIT $3"
            ),
            &[
                (&from, Type::INT8),
                (&below, Type::INT8),
                (&limit, Type::INT8),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
