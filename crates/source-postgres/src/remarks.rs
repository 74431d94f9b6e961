//! What a reader of an export should know.

use sluice_fhir::{Issue, IssueCode, Level, ResourceType};
use sluice_model::Scope;
use sluice_ports::PortError;
use tokio_postgres::types::Type;

use crate::failure::failed;
use crate::kinds::Kinds;
use crate::pool::Session;
use crate::range::{SOMEBODY, numbers, quoted};
use crate::view::View;

/// All of them.
pub(crate) async fn remarks(
    session: &Session,
    scope: &Scope,
    view: &View,
    kinds: &Kinds,
) -> Result<Vec<Issue>, PortError> {
    let mut issues = Vec::new();
    if let Level::Group(id) = &scope.level {
        issues.extend(lost_members(session, id, view, kinds).await?);
    }
    if scope.level != Level::System {
        issues.extend(strangers(session, scope, view, kinds).await?);
    }
    Ok(issues)
}

/// Members of the Group itself that lead nowhere.
async fn lost_members(
    session: &Session,
    id: &str,
    view: &View,
    kinds: &Kinds,
) -> Result<Vec<Issue>, PortError> {
    let (group, patient) = (
        kinds.code(ResourceType::GROUP),
        kinds.code(ResourceType::PATIENT),
    );
    let (g, p, n, time) = (
        view.lives("g"),
        view.lives("p"),
        view.lives("n"),
        view.time(),
    );
    let sql = format!(
        "SELECT count(*) FILTER (WHERE m.patient IS NOT NULL AND NOT EXISTS (SELECT 1 \
             FROM sluice.resource p WHERE p.kind = {patient} AND p.owner = m.patient AND {p})), \
         count(*) FILTER (WHERE m.patient IS NULL AND m.member_group IS NULL), \
         count(*) FILTER (WHERE m.member_group IS NOT NULL AND NOT EXISTS (SELECT 1 \
             FROM sluice.resource n WHERE n.kind = {group} AND n.id = m.member_group AND {n})) \
         FROM sluice.grouping q JOIN sluice.resource g ON g.kind = {group} AND g.id = q.id \
         AND g.row = q.row AND {g} JOIN sluice.member m ON m.row = q.row \
         AND {time} BETWEEN m.starts AND m.ends WHERE q.id = {}",
        quoted(id)
    );
    let row = session
        .query_typed_one(&sql, &[])
        .await
        .map_err(failed("looking for lost members"))?;
    let told = [
        (row.get::<_, i64>(0), "Patients that do not exist"),
        (row.get(1), "no Patients"),
        (row.get(2), "Groups that do not exist"),
    ];
    let told = told.into_iter().filter(|(count, _)| *count > 0);
    Ok(told
        .map(|(count, what)| {
            let text = format!("members of the Group left out: {count} that are {what}");
            Issue::warning(IssueCode::Incomplete, text)
        })
        .collect())
}

/// Left out of every compartment, so a reader who counts should know.
async fn strangers(
    session: &Session,
    scope: &Scope,
    view: &View,
    kinds: &Kinds,
) -> Result<Option<Issue>, PortError> {
    let types = numbers(&kinds.codes(&scope.exportable()), "smallint");
    let lives = view.lives("r");
    let row = session
        .query_typed_one(
            &format!(
                "SELECT count(*) FROM sluice.resource r WHERE r.kind = ANY({types}) \
                 AND r.owner = $1 AND {lives}"
            ),
            &[(&SOMEBODY, Type::INT8)],
        )
        .await
        .map_err(failed("counting what is nobody's to give"))?;
    let count: i64 = row.get(0);
    Ok((count > 0).then(|| {
        let text = format!(
            "resources of these types that name their patient only by an identifier or a search: \
             {count}; they are exported at system level only"
        );
        Issue::warning(IssueCode::Incomplete, text)
    }))
}
