//! What is nobody's and comes along: what resources of the cohort refer to, and what that refers to,
//! within the types asked for. A reference counts once it was there, even if a later version has it no
//! more: a chain of incremental exports holds together by it.

use sluice_fhir::ResourceType;
use sluice_ports::PortError;

use crate::cohort::Cohort;
use crate::pool::Purpose;
use crate::provenance;
use crate::range::{FOLLOWS, Key, NOBODY, Span, numbers, rows_of};
use crate::read::Reader;

const FOLLOWING: (Purpose, &str) = (Purpose::Read, "following references");

/// The ids of a type that come along, within a span of the keys of its owner, in order.
pub(crate) async fn ids(
    reader: &Reader<'_>,
    kind: ResourceType,
    span: &Span,
) -> Result<Vec<String>, PortError> {
    let code = reader.kinds.code(kind);
    // Of most types everything is somebody's; then there is nothing to follow.
    let is_any = reader.held.of(code).is_some_and(|held| held.nobodys);
    let found = if is_any {
        let owner = owner(kind).to_string();
        let sql = format!(
            "{} SELECT DISTINCT w.id FROM wave w WHERE w.kind = {} AND {} ORDER BY w.id",
            closure(reader, reader.present().await?),
            code,
            span.holds(&owner, "w.id"),
        );
        reader.connections.ask(FOLLOWING, &sql, &[]).await?
    } else {
        Vec::new()
    };
    Ok(found.iter().map(|row| row.get(0)).collect())
}

/// By which owner what is nobody's of a type is found.
fn owner(kind: ResourceType) -> i64 {
    if kind.name() == "Provenance" {
        FOLLOWS
    } else {
        NOBODY
    }
}

/// `WITH RECURSIVE wave (kind, id)`: all that comes along.
fn closure(reader: &Reader<'_>, present: &[i16]) -> String {
    let (view, kinds) = (&reader.view, reader.kinds);
    let wanted = reader.scope.exportable();
    let types = numbers(present, "smallint");
    let (lives, linked, led) = (view.lives("r"), view.known("l"), view.known("o"));
    let code = provenance::code(reader.kinds);
    let nobodys = format!(
        "r.kind = ANY({types}) AND {lives} AND (r.owner = {NOBODY} OR (r.owner = {FOLLOWS} AND {}))",
        provenance::is_nobodys(reader, "r")
    );
    let named = rows_of("r", "n.kind", "n.id", "r.kind, r.id", &nobodys);
    let with_provenance = wanted.iter().any(|kind| kind.name() == "Provenance");
    let first = match &reader.cohort {
        Cohort::Bounded(query) => {
            let mut targets = format!(
                "SELECT l.target FROM ({query}) c JOIN sluice.link l ON l.patient = c.patient \
                 AND l.via = ANY({types}) AND {linked}"
            );
            if with_provenance {
                let all = Span(Key::first(), None);
                targets = format!(
                    "{targets} UNION SELECT o.target FROM ({}) p (id) JOIN sluice.name s \
                     ON s.kind = {code} AND s.id = p.id \
                     JOIN sluice.onward o ON o.source = s.ordinal AND {led}",
                    provenance::sql(reader, &all)
                );
            }
            format!(
                "SELECT r.kind, r.id FROM (SELECT DISTINCT f.target FROM ({targets}) f) f \
                 JOIN sluice.name n ON n.ordinal = f.target, LATERAL ({named}) r"
            )
        }
        // There are fewer of nobody's than there are references.
        cohort => {
            let mut reached = format!(
                "SELECT 1 FROM sluice.link l WHERE l.target = n.ordinal \
                 AND l.via = ANY({types}) AND {linked} AND {}",
                cohort.holds("l.patient", view, kinds)
            );
            if with_provenance {
                reached = format!(
                    "{reached} UNION ALL SELECT 1 FROM sluice.onward o JOIN sluice.name s \
                     ON s.ordinal = o.source AND s.kind = {code}, LATERAL ({}) p \
                     WHERE o.target = n.ordinal AND {led}",
                    provenance::one(reader, "s.id")
                );
            }
            // LIMIT makes it look for one each, where it would else go through all references.
            format!(
                "SELECT r.kind, r.id FROM sluice.resource r JOIN sluice.name n \
                 ON n.id = r.id AND n.kind IN (0, r.kind), LATERAL (SELECT 1 FROM ({reached}) u \
                 LIMIT 1) x WHERE {nobodys}"
            )
        }
    };
    // A name behind `urn:uuid:` has no type; then any wanted one will do.
    format!(
        "WITH RECURSIVE wave (kind, id) AS ({first} \
         UNION SELECT r.kind, r.id FROM wave w JOIN sluice.name s ON s.kind = w.kind AND s.id = w.id \
         JOIN sluice.onward o ON o.source = s.ordinal AND {led} \
         JOIN sluice.name n ON n.ordinal = o.target, LATERAL ({named}) r)"
    )
}
