//! Who belongs to a Group at a time, as the bodies of Groups say now.

use std::collections::{BTreeSet, HashSet};

use sluice_fhir::facts::{GroupFacts, contains};
use sluice_fhir::{Instant, ResourceType, is_id};
use sluice_ports::{PortError, PortKind};
use tokio_postgres::types::Type;

use super::relation::Relation;
use crate::failure::failed;
use crate::pool::Session;

/// Groups longer than this take no part: they are read as a whole.
pub(super) const LONGEST: i32 = 32 << 20;
/// Members of one population at most.
const MOST: usize = 1_000_000;

/// The members of a Group.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    /// Ids of patients, sorted, whether they exist or not.
    pub(super) patients: Vec<String>,
    /// Members that are no Patients, or named by nothing that can be followed.
    pub(super) others: u64,
    /// Members that name a Group that does not exist, or cannot be read.
    pub(super) lost_groups: u64,
}

/// A Group as it is now, if there is one that can be read.
pub(super) async fn group(
    session: &Session,
    relation: &Relation,
    id: &str,
) -> Result<Option<GroupFacts>, PortError> {
    const ACTION: &str = "reading the members of a group";
    // The length is asked for first, so that what is too long is not unpacked.
    let sql = format!(
        "SELECT CASE WHEN x.size <= {LONGEST} THEN {body} END FROM (SELECT v.{column_body} AS body, {size} AS size \
         FROM {from} WHERE {is_a} AND v.{column} = $1 AND {lives} AND {has_body} \
         ORDER BY v.{patient} NULLS FIRST LIMIT 1) x",
        body = relation.bytes("x.body"),
        column_body = relation.body,
        size = relation.size("v"),
        from = relation.named("v"),
        is_a = relation.is_a("v", ResourceType::GROUP),
        column = relation.id,
        lives = relation.lives("v"),
        has_body = relation.has_body("v"),
        patient = relation.patient,
    );
    let row = session
        .query_typed_opt(&sql, &[(&id, Type::TEXT)])
        .await
        .map_err(failed(ACTION))?;
    let Some(row) = row else { return Ok(None) };
    let Some(body) = row.get::<_, Option<Vec<u8>>>(0) else {
        return Err(PortError::new(
            PortKind::Permanent,
            format!("{ACTION}: it has more than {LONGEST} bytes"),
        ));
    };
    let text = std::str::from_utf8(&body).ok();
    Ok(text.and_then(|text| GroupFacts::read(text).ok()))
}

/// The members of an active Group, and of the active Groups among them; each Group counts once.
pub(super) async fn members(
    session: &Session,
    relation: &Relation,
    id: &str,
    time: Instant,
) -> Result<Option<Members>, PortError> {
    let first = group(session, relation, id).await?;
    let Some(first) = first.filter(|group| group.active) else {
        return Ok(None);
    };
    let (mut found, mut patients) = (Members::default(), BTreeSet::new());
    let (mut seen, mut open) = (HashSet::from([id.to_owned()]), Vec::new());
    let mut next = Some(first);
    while let Some(group) = next.take() {
        for member in group.members {
            if !contains(member.start.as_deref(), member.end.as_deref(), time) {
                continue;
            }
            match member.entity {
                Some(entity) if !is_id(&entity.id) => found.others += 1,
                Some(entity) if entity.kind == Some(ResourceType::PATIENT) => {
                    patients.insert(entity.id);
                }
                Some(entity) if entity.kind == Some(ResourceType::GROUP) => {
                    if seen.insert(entity.id.clone()) {
                        open.push(entity.id);
                    }
                }
                _ => found.others += 1,
            }
        }
        if patients.len() > MOST {
            return Err(PortError::new(
                PortKind::Permanent,
                format!("gathering patients: the group has more than {MOST} members"),
            ));
        }
        while let Some(id) = open.pop() {
            next = self::group(session, relation, &id).await?;
            match &next {
                Some(group) if group.active => break,
                Some(_) => next = None,
                None => found.lost_groups += 1,
            }
        }
    }
    found.patients = patients.into_iter().collect();
    Ok(Some(found))
}
