//! Rows of the tables that find Groups and their members.

use std::collections::HashMap;

use sluice_fhir::facts::GroupFacts;
use sluice_fhir::{Instant, ResourceType};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::pool::Session;

/// Rows of the Groups of a batch, by column.
#[derive(Default)]
pub(crate) struct GroupRows {
    rows: Vec<i64>,
    ids: Vec<String>,
    active: Vec<bool>,
    names: Vec<String>,
    identified: Vec<i64>,
    systems: Vec<String>,
    values: Vec<String>,
    with_member: Vec<i64>,
    patients: Vec<Option<i64>>,
    groups: Vec<Option<String>>,
    starts: Vec<i64>,
    ends: Vec<i64>,
}

/// Adds a version of a Group.
pub(crate) fn group_rows(
    to: &mut GroupRows,
    row: i64,
    id: &str,
    group: &GroupFacts,
    patients: &HashMap<String, i64>,
) {
    to.rows.push(row);
    to.ids.push(id.to_owned());
    to.active.push(group.active);
    // PostgreSQL's texts hold no zero byte.
    let text = |text: &str| text.replace('\0', "");
    to.names.push(text(&group.name.to_lowercase()));
    for (system, value) in &group.identifiers {
        to.identified.push(row);
        to.systems.push(text(system));
        to.values.push(text(value));
    }
    for member in &group.members {
        let entity = member.entity.as_ref();
        let of = |kind: ResourceType| entity.filter(|target| target.kind == Some(kind));
        to.with_member.push(row);
        to.patients
            .push(of(ResourceType::PATIENT).and_then(|target| patients.get(&target.id).copied()));
        to.groups
            .push(of(ResourceType::GROUP).map(|target| target.id.clone()));
        to.starts
            .push(member.start.as_deref().map_or(i64::MIN, first_moment));
        to.ends
            .push(member.end.as_deref().map_or(i64::MAX, last_moment));
    }
}

impl GroupRows {
    /// Writes them.
    pub(crate) async fn insert(&self, session: &Session) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        session
            .execute_typed(
                "INSERT INTO sluice.grouping (row, id, active, name) \
                 SELECT * FROM unnest($1, $2, $3, $4)",
                &[
                    (&self.rows, Type::INT8_ARRAY),
                    (&self.ids, Type::TEXT_ARRAY),
                    (&self.active, Type::BOOL_ARRAY),
                    (&self.names, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        session
            .execute_typed(
                "INSERT INTO sluice.identifier (row, system, value) \
                 SELECT * FROM unnest($1, $2, $3)",
                &[
                    (&self.identified, Type::INT8_ARRAY),
                    (&self.systems, Type::TEXT_ARRAY),
                    (&self.values, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        session
            .execute_typed(
                "INSERT INTO sluice.member (row, patient, member_group, starts, ends) \
                 SELECT * FROM unnest($1, $2, $3, $4, $5)",
                &[
                    (&self.with_member, Type::INT8_ARRAY),
                    (&self.patients, Type::INT8_ARRAY),
                    (&self.groups, Type::TEXT_ARRAY),
                    (&self.starts, Type::INT8_ARRAY),
                    (&self.ends, Type::INT8_ARRAY),
                ],
            )
            .await
            .map(drop)
    }
}

/// The first moment of a date or time; a date stands for all of its day, month or year, in UTC.
fn first_moment(text: &str) -> i64 {
    let full = match text.len() {
        4 => format!("{text}-01-01T00:00:00Z"),
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    // What cannot be read was refused before.
    full.parse().map_or(i64::MAX, Instant::nanos)
}

/// The last moment of one.
fn last_moment(text: &str) -> i64 {
    let next = match text.len() {
        4 => text
            .parse::<u32>()
            .ok()
            .map(|year| format!("{:04}", year + 1)),
        7 => next_month(text),
        10 => return first_moment(text).saturating_add(86_400_000_000_000 - 1),
        _ => return text.parse().map_or(i64::MIN, Instant::nanos),
    };
    next.map_or(i64::MIN, |next| first_moment(&next).saturating_sub(1))
}

fn next_month(text: &str) -> Option<String> {
    let (year, month) = text.split_once('-')?;
    let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
    Some(if month == 12 {
        format!("{:04}-01", year + 1)
    } else {
        format!("{year:04}-{:02}", month + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_stand_for_all_of_their_span() {
        let at = |text: &str| text.parse::<Instant>().unwrap().nanos();
        for (text, first, last) in [
            (
                "2026",
                "2026-01-01T00:00:00Z",
                "2026-12-31T23:59:59.999999999Z",
            ),
            (
                "2026-12",
                "2026-12-01T00:00:00Z",
                "2026-12-31T23:59:59.999999999Z",
            ),
            (
                "2026-02",
                "2026-02-01T00:00:00Z",
                "2026-02-28T23:59:59.999999999Z",
            ),
            (
                "2026-02-28",
                "2026-02-28T00:00:00Z",
                "2026-02-28T23:59:59.999999999Z",
            ),
            (
                "2026-02-28T12:00:00+02:00",
                "2026-02-28T10:00:00Z",
                "2026-02-28T10:00:00Z",
            ),
        ] {
            assert_eq!(
                (first_moment(text), last_moment(text)),
                (at(first), at(last)),
                "{text}"
            );
        }
    }
}
