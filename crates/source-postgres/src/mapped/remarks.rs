//! What a reader of an export should know about the relation it came from.

use sluice_fhir::{Issue, IssueCode, Level, ResourceType};
use sluice_model::Scope;
use sluice_ports::PortError;
use tokio_postgres::types::{ToSql, Type};

use super::cohort::{existing, gather};
use super::relation::{Relation, is_directory};
use crate::failure::failed;
use crate::pool::Session;

/// All of them.
pub(super) async fn remarks(
    session: &Session,
    relation: &Relation,
    scope: &Scope,
) -> Result<Vec<Issue>, PortError> {
    let mut issues = vec![Issue::information(
        "the source keeps only newest versions: what changed after the transactionTime and before it \
         was read is exported as it was then, and is exported again by the next export since",
    )];
    issues.extend(lost_members(session, relation, scope).await?);
    issues.extend(counted(session, relation, scope).await?);
    Ok(issues)
}

/// Members of the Group, and of those within it, that lead nowhere.
async fn lost_members(
    session: &Session,
    relation: &Relation,
    scope: &Scope,
) -> Result<Vec<Issue>, PortError> {
    if !matches!(scope.level, Level::Group(_)) {
        return Ok(Vec::new());
    }
    let scope = Scope {
        patients: None,
        ..scope.clone()
    };
    let Some((cohort, members)) = gather(session, relation, &scope).await? else {
        return Ok(Vec::new());
    };
    let mut missing = 0;
    for page in cohort.pages() {
        missing += page.len()
            - existing(session, relation, page)
                .await?
                .len()
                .min(page.len());
    }
    let told = [
        (
            u64::try_from(missing).unwrap_or(u64::MAX),
            "Patients that do not exist",
        ),
        (
            members.lost_groups,
            "Groups that do not exist or cannot be read",
        ),
        (members.others, "neither Patients nor Groups"),
    ];
    let told = told.into_iter().filter(|(count, _)| *count > 0);
    Ok(told
        .map(|(count, what)| {
            let text = format!("members of the Group left out: {count} that are {what}");
            Issue::warning(IssueCode::Incomplete, text)
        })
        .collect())
}

/// What is left out or included whatever was asked, counted over all rows of the types.
async fn counted(
    session: &Session,
    relation: &Relation,
    scope: &Scope,
) -> Result<Vec<Issue>, PortError> {
    let types = scope.exportable();
    let is_bounded = scope.since.is_some() || scope.until.is_some();
    let inside: Vec<ResourceType> = types
        .iter()
        .copied()
        .filter(|kind| !is_directory(*kind))
        .collect();
    let sql = format!(
        "SELECT count(*) FILTER (WHERE {is_empty}), \
         count(*) FILTER (WHERE v.{updated} IS NULL), \
         count(*) FILTER (WHERE {anyones} IS NULL AND {is_inside}) \
         FROM {from} WHERE {is_any} AND {lives}",
        is_empty = relation.is_empty("v"),
        updated = relation.updated,
        anyones = relation.anyones("v"),
        is_inside = relation.is_any("v", &inside),
        from = relation.named("v"),
        is_any = relation.is_any("v", &types),
        lives = relation.lives("v"),
    );
    let none: [(&(dyn ToSql + Sync), Type); 0] = [];
    let row = session.query_typed_one(&sql, &none).await;
    let row = row.map_err(failed("counting what is left out"))?;
    let (empty, undated, strangers): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let mut issues = Vec::new();
    if empty > 0 {
        let text = format!("rows of these types left out, for they have no body: {empty}");
        issues.push(Issue::warning(IssueCode::Incomplete, text));
    }
    if strangers > 0 && !scope.is_whole() {
        let text = format!(
            "rows of these types that should be somebody's and name nobody: {strangers}; they are \
             exported at system level only"
        );
        issues.push(Issue::warning(IssueCode::Incomplete, text));
    }
    if undated > 0 && is_bounded {
        issues.push(Issue::information(format!(
            "rows of these types of which nobody knows when they changed: {undated}; they are exported \
             whatever _since and _until say"
        )));
    }
    Ok(issues)
}
