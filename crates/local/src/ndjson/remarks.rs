//! What a reader of an export should know about the folder it came from.

use std::path::Path;

use rusqlite::{Connection, params};
use sluice_fhir::facts::Reason;
use sluice_fhir::{Issue, IssueCode, Level};
use sluice_model::Scope;

use super::generation::Generation;
use super::kinds::code;
use super::options::Undated;
use super::picks::notes;

/// Kinds of broken lines told one by one; the rest are summed up.
const TOLD: usize = 50;

/// The remarks on a scope.
pub(super) fn remarks(
    generation: &Generation,
    scope: &Scope,
    undated: Undated,
    picks: Option<&Path>,
) -> rusqlite::Result<Vec<Issue>> {
    let db = generation.index()?;
    let mut issues = skips(&db, scope)?;
    if let Some(picks) = picks {
        issues.extend(members(picks)?);
    }
    issues.extend(strangers(generation, scope));
    issues.extend(unknown_times(generation, scope, undated));
    issues.extend(newer(&db, generation, scope)?);
    Ok(issues)
}

/// Broken lines may have been anybody's and of any type, so everyone hears of them. Where they are
/// hears only who may see everything, because files are named after people at times; so does who
/// might miss a Binary.
fn skips(db: &Connection, scope: &Scope) -> rusqlite::Result<Vec<Issue>> {
    let mut skips = db.prepare(
        "SELECT f.name, s.reason, s.count, s.first FROM skips s JOIN files f USING (file)
         WHERE ?1 OR s.reason <> ?2 ORDER BY s.file, s.first, s.reason",
    )?;
    let sees_all = scope.level == Level::System;
    let mut rows = skips.query(params![sees_all, Reason::NoData.summary()])?;
    let (mut issues, mut untold, mut untold_lines) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(2)?;
        if issues.len() == TOLD || !sees_all {
            (untold, untold_lines) = (untold + 1, untold_lines + count);
            continue;
        }
        let (name, reason): (String, String) = (row.get(0)?, row.get(1)?);
        let first: i64 = row.get(3)?;
        let text = format!("{name}: {count} left out, first at line {first}: {reason}");
        issues.push(if reason == Reason::NoData.summary() {
            Issue::information(text)
        } else {
            Issue::warning(IssueCode::Incomplete, text)
        });
    }
    if untold > 0 {
        let more = if issues.is_empty() { "" } else { "more " };
        let text = format!(
            "{untold_lines} {more}broken lines of the source were left out; its operator sees where \
             with sluice doctor"
        );
        issues.push(Issue::warning(IssueCode::Incomplete, text));
    }
    Ok(issues)
}

fn members(picks: &Path) -> rusqlite::Result<Vec<Issue>> {
    let cohort = notes(picks)?;
    let told = [
        (cohort.missing, "Patients that are not in the folder"),
        (cohort.lost_groups, "Groups that are not in the folder"),
        (cohort.others, "neither Patients nor Groups"),
    ];
    let told = told.into_iter().filter(|(count, _)| *count > 0);
    Ok(told
        .map(|(count, what)| {
            let text = format!("members of the Group left out: {count} that are {what}");
            Issue::warning(IssueCode::Incomplete, text)
        })
        .collect())
}

/// Left out of every compartment, so a reader who counts them should know.
fn strangers(generation: &Generation, scope: &Scope) -> Option<Issue> {
    if scope.level == Level::System {
        return None;
    }
    let types = scope.exportable().into_iter();
    let totals = types.filter_map(|kind| generation.totals.get(&kind));
    let count: i64 = totals.map(|total| total.strangers).sum();
    (count > 0).then(|| {
        let text = format!(
            "resources of these types in the folder that name only patients who are not in it: \
             {count}; they are exported at system level only"
        );
        Issue::warning(IssueCode::Incomplete, text)
    })
}

/// Matters only to an export that asks for times.
fn unknown_times(generation: &Generation, scope: &Scope, undated: Undated) -> Option<Issue> {
    if scope.since.is_none() && scope.until.is_none() {
        return None;
    }
    let types = scope.exportable().into_iter();
    let totals = types.filter_map(|kind| generation.totals.get(&kind));
    let count: i64 = totals.map(|total| total.undated).sum();
    let treated = match undated {
        Undated::Include => "they are exported whatever _since and _until say",
        Undated::FileTime => "the time at which their file was written stands in for it",
    };
    (count > 0).then(|| {
        Issue::information(format!(
            "resources of these types in the folder without meta.lastUpdated: {count}; {treated}"
        ))
    })
}

/// The folder keeps current versions only, so one from after T stands in for its older self.
fn newer(
    db: &Connection,
    generation: &Generation,
    scope: &Scope,
) -> rusqlite::Result<Option<Issue>> {
    let time = scope.snapshot.time.nanos();
    let mut count: i64 = 0;
    for kind in scope.exportable() {
        let newest = generation.totals.get(&kind).and_then(|total| total.newest);
        if newest.is_some_and(|newest| newest > time) {
            let sql = "SELECT count(*) FROM entries WHERE kind = ? AND updated > ?";
            count += db.query_row(sql, [code(kind), time], |row| row.get::<_, i64>(0))?;
        }
    }
    Ok((count > 0).then(|| {
        Issue::information(format!(
            "resources of these types in the folder that changed after the transactionTime: \
             {count}; the folder keeps only newest versions, so these are exported"
        ))
    }))
}
